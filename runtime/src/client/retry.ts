import { backoffMs } from "../backoff.ts";
import type { MicroError } from "../error.ts";
import type { AnyMethod, RetryPolicy } from "../method.ts";

/** What holds for methods that may be repeated and whose schema says nothing about retries. */
export const defaultRetry: RetryPolicy = {
  attempts: 3,
  backoffMs: 50,
  maxBackoffMs: 1_000,
  on: ["unavailable"],
};

/** The most attempts of one call, whatever a policy says (gRFC A6). */
export const maxAttempts = 5;

/** The most times that a call which certainly did not run is sent again without asking a policy. */
export const maxTransparentRetries = 3;

/** What is known of a call when an attempt has failed. */
export interface FailedAttempt {
  readonly error: MicroError;
  /** Attempts that were begun, this one included. */
  readonly attempts: number;
  /** How many of the attempts after the first were made without asking the policy. */
  readonly transparentRetries: number;
  /** Whether the method or the call says that a repetition does no harm. */
  readonly idempotent: boolean;
  /** Whether an answer was seen or a request is gone that cannot be had again. */
  readonly committed: boolean;
  /** Whether a server can have refused it. False when it never left, or its connection is ending anyway. */
  readonly refused: boolean;
  /** Undefined when retries are turned off. */
  readonly policy: RetryPolicy | undefined;
  readonly remainingMs: number;
}

/** What to do about a failed attempt. `transparent`: it was no fault of the call and costs no policy's attempt. */
export interface RetryDecision {
  readonly waitMs: number;
  readonly transparent: boolean;
}

/**
 * Whether and when a failed attempt is followed by another; undefined when its error is the call's.
 *
 * What certainly did not run is sent again, whatever the method is. What may have run or did run is repeated
 * only where the call may be repeated and its policy names the code. Both draw on the budget, except for
 * attempts that no server has seen.
 *
 * @param withdraw takes a retry from the budget; false when there is none.
 */
export function decideRetry(
  failed: FailedAttempt,
  withdraw: () => boolean,
  random: () => number,
): RetryDecision | undefined {
  const { error, policy, attempts, transparentRetries } = failed;
  if (failed.committed || error.code === "canceled" || attempts >= maxAttempts) return undefined;
  const pushBackMs = error.retryAfterMs ?? 0;
  // gRFC A6: a push-back that is negative or no number asks for no retry at all.
  if (!(pushBackMs >= 0)) return undefined;

  const transparent = isTransparent(error) && transparentRetries < maxTransparentRetries;
  if (!transparent && !isAllowed(failed)) return undefined;
  const retries = transparent ? transparentRetries : attempts - transparentRetries;
  const backoff = {
    firstMs: policy?.backoffMs ?? defaultRetry.backoffMs,
    mostMs: policy?.maxBackoffMs ?? defaultRetry.maxBackoffMs,
    factor: 2,
    jitter: 0.2,
  };
  // The first transparent retry is immediate: another node can have the call at once.
  const waitMs = Math.max(pushBackMs, retries === 0 ? 0 : backoffMs(backoff, retries, random));
  if (waitMs >= failed.remainingMs) return undefined;
  const free = transparent && !failed.refused;
  return free || withdraw() ? { waitMs, transparent } : undefined;
}

/** Did not run, and may well run elsewhere or later. */
function isTransparent(error: MicroError): boolean {
  if (error.outcome !== "not-executed") return false;
  if (error.code === "unavailable") return true;
  return error.code === "resource_exhausted" && error.retryAfterMs !== undefined;
}

function isAllowed({ error, policy, attempts, transparentRetries, idempotent }: FailedAttempt) {
  if (policy === undefined || !policy.on.includes(error.code)) return false;
  if (!idempotent && error.outcome !== "not-executed") return false;
  return attempts - transparentRetries < policy.attempts;
}

/**
 * The policy of a call: {@link defaultRetry}, and over it, field by field, what the schema, the client and the
 * call say, in that order. Undefined when the last to speak turned retries off.
 */
export function retryPolicy(
  method: AnyMethod,
  client: Partial<RetryPolicy> | false | undefined,
  call: Partial<RetryPolicy> | false | undefined,
): RetryPolicy | undefined {
  if (call === false || (client === false && call === undefined)) return undefined;
  return { ...defaultRetry, ...method.retry, ...(client || undefined), ...call };
}
