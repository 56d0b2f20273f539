import { backoffMs } from "../base/backoff.ts";
import type { MicroError } from "../base/error.ts";
import type { AnyMethod, RetryPolicy } from "../call/method.ts";

/** The policy for repeatable methods whose schema does not define retries. */
export const defaultRetry: RetryPolicy = {
  attempts: 3,
  backoffMs: 50,
  maxBackoffMs: 1_000,
  on: ["unavailable"],
};

/** Maximum number of attempts of one call, whatever a policy says (gRFC A6). */
export const maxAttempts = 5;

/**
 * Maximum number of times that a call which certainly did not run is sent again without consulting
 * a policy.
 */
export const maxTransparentRetries = 3;

/** The state of a call after a failed attempt. */
export interface FailedAttempt {
  readonly error: MicroError;
  /** Number of attempts started, including this one. */
  readonly attempts: number;
  /** Number of attempts after the first that were made without consulting the policy. */
  readonly transparentRetries: number;
  /**
   * Whether its connection ended before the server had processed it, although other calls to the
   * service have succeeded since the attempt before failed: as with servers that end each
   * connection after some calls.
   */
  readonly turnedAway: boolean;
  /** Number of attempts before this one that were turned away; they are not retries. */
  readonly timesTurnedAway: number;
  /** Whether the method or the call is declared safe to repeat. */
  readonly idempotent: boolean;
  /** Whether a response was seen, or a request was consumed that cannot be read again. */
  readonly committed: boolean;
  /**
   * Whether a server may have refused it. False if it was never sent, or its connection was ending
   * anyway.
   */
  readonly refused: boolean;
  /** Undefined if retries are disabled. */
  readonly policy: RetryPolicy | undefined;
  readonly remainingMs: number;
}

/**
 * What to do about a failed attempt. `transparent`: it was not the call's fault and does not count
 * as an attempt of the policy. `turnedAway`: it counts toward no limit at all.
 */
export interface RetryDecision {
  readonly waitMs: number;
  readonly transparent: boolean;
  readonly turnedAway: boolean;
}

/**
 * Decides whether and when a failed attempt is followed by another; undefined when its error is the
 * call's.
 *
 * A call that certainly did not run is sent again, whatever its method. A call that did or may have
 * run is repeated only if it is safe to repeat and its policy names the code. Both draw on the
 * budget, except for attempts that no server has seen. A call that is turned away is sent again up
 * to its deadline: each of its attempts took part in a connection that served others.
 *
 * @param withdraw takes a retry from the budget; returns false if there is none.
 */
export function decideRetry(
  failed: FailedAttempt,
  withdraw: () => boolean,
  random: () => number,
): RetryDecision | undefined {
  const { error, policy, transparentRetries, timesTurnedAway } = failed;
  if (failed.committed || error.code === "canceled") return undefined;
  // A server that has no room is not one that ends its connections.
  const turnedAway =
    failed.turnedAway && error.code === "unavailable" && error.outcome === "not-executed";
  const attempts = failed.attempts - timesTurnedAway;
  if (attempts >= maxAttempts && !turnedAway) return undefined;
  const pushBackMs = error.retryAfterMs ?? 0;
  // gRFC A6: a push-back that is negative or not a number means that the call must not be retried.
  if (!(pushBackMs >= 0)) return undefined;

  const transparent =
    turnedAway || (isTransparent(error) && transparentRetries < maxTransparentRetries);
  if (!transparent && !isAllowed(failed)) return undefined;
  const transparently = turnedAway ? timesTurnedAway : transparentRetries;
  const retries = transparent ? transparently : attempts - transparentRetries;
  const backoff = {
    firstMs: policy?.backoffMs ?? defaultRetry.backoffMs,
    mostMs: policy?.maxBackoffMs ?? defaultRetry.maxBackoffMs,
    factor: 2,
    jitter: 0.2,
  };
  // The first transparent retry is immediate, because another node can take the call right away.
  const waitMs = Math.max(pushBackMs, retries === 0 ? 0 : backoffMs(backoff, retries, random));
  if (waitMs >= failed.remainingMs) return undefined;
  const free = transparent && !failed.refused;
  return free || withdraw() ? { waitMs, transparent, turnedAway } : undefined;
}

/** Whether the attempt did not run, and is likely to succeed elsewhere or later. */
function isTransparent(error: MicroError): boolean {
  if (error.outcome !== "not-executed") return false;
  if (error.code === "unavailable") return true;
  return error.code === "resource_exhausted" && error.retryAfterMs !== undefined;
}

function isAllowed(failed: FailedAttempt) {
  const { error, policy, idempotent } = failed;
  if (policy === undefined || !policy.on.includes(error.code)) return false;
  if (!idempotent && error.outcome !== "not-executed") return false;
  const { attempts, timesTurnedAway, transparentRetries } = failed;
  return attempts - timesTurnedAway - transparentRetries < policy.attempts;
}

/**
 * The policy of a call: {@link defaultRetry}, overridden field by field by the schema, the client
 * and the call, in that order. Undefined if the last of them to set it disabled retries.
 */
export function retryPolicy(
  method: AnyMethod,
  client: Partial<RetryPolicy> | false | undefined,
  call: Partial<RetryPolicy> | false | undefined,
): RetryPolicy | undefined {
  if (call === false || (client === false && call === undefined)) return undefined;
  return { ...defaultRetry, ...method.retry, ...(client || undefined), ...call };
}
