import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { AuthRule, MethodRule, RetryRule, ServiceRule } from "../gen/micro/v1/options_pb.ts";
import { milliseconds } from "./duration.ts";
import { codes } from "./grpc-codes.ts";
import type { LintRuleId } from "./lint-rules.ts";
import { nearest } from "./nearest.ts";
import type { Problems } from "./problems.ts";
import { methodOption, serviceOption } from "./read.ts";
import type { Element } from "./source-info.ts";

/**
 * The policy for calls of a method, with defaults merged in; the names are those of the runtime's
 * `Method`.
 */
export interface MethodPolicy {
  readonly idempotency: "unknown" | "idempotent" | "no_side_effects";
  readonly timeoutMs?: number;
  readonly retry?: RetryPolicy;
  readonly auth?: MethodAuth;
}

export interface RetryPolicy {
  readonly attempts: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly on: readonly string[];
}

export interface MethodAuth {
  readonly public?: true;
  readonly scopes?: readonly string[];
}

const DEFAULT_BACKOFF_MS = 50;
const DEFAULT_MAX_BACKOFF_MS = 1000;
const MAX_ATTEMPTS = 5;

// Paths within a MethodRule, and of the defaults within a ServiceRule.
const TIMEOUT = 1;
const RETRY = 2;
const AUTH = 3;
const SERVICE_DEFAULTS = 2;

/**
 * Merges the service's defaults with the method's own rule. The method's timeout and each part of
 * its retry replace the service's. Its auth replaces the service's as a whole, because a mix of two
 * access rules is neither of them. A service's retry applies to those of its methods that may be
 * retried; on a method that may not, it is an error.
 */
export function methodPolicy(
  method: DescMethod,
  rule: MethodRule | undefined,
  defaults: MethodRule | undefined,
  problems: Problems,
): MethodPolicy {
  const idempotency = idempotencyOf(method);
  const place: Place = { element: method, path: methodOption, problems };
  const retryProblem = retryObstacle(
    method,
    idempotency,
    mergedRetry(rule?.retry, defaults?.retry),
  );
  if (rule?.retry !== undefined && retryProblem !== undefined) {
    report("MICRO_RETRY_IDEMPOTENT", place, [RETRY], retryProblem);
  }
  const retry = retryProblem === undefined ? mergedRetry(rule?.retry, defaults?.retry) : undefined;
  const timeout = rule?.timeout ?? defaults?.timeout;
  const auth = rule?.auth ?? defaults?.auth;
  if (rule !== undefined) checkRule(rule, defaults, place);
  const timeoutMs = timeout && milliseconds(timeout);
  return {
    idempotency,
    ...(typeof timeoutMs === "number" && { timeoutMs }),
    ...(retry && { retry: retryPolicy(retry) }),
    ...(auth && { auth: methodAuth(auth) }),
  };
}

/** Checks the defaults of a service, once for all its methods. */
export function checkDefaults(service: Element, rule: ServiceRule, problems: Problems): void {
  if (rule.defaults === undefined) return;
  const path = [...serviceOption, SERVICE_DEFAULTS];
  checkRule(rule.defaults, undefined, { element: service, path, problems });
}

interface Place {
  readonly element: Element;
  readonly path: readonly number[];
  readonly problems: Problems;
}

function report(rule: LintRuleId, place: Place, path: readonly number[], message: string): void {
  place.problems.add(rule, place.element, [...place.path, ...path], message);
}

function checkRule(rule: MethodRule, defaults: MethodRule | undefined, place: Place): void {
  if (rule.timeout !== undefined) {
    const ms = milliseconds(rule.timeout);
    if (typeof ms === "string") report("MICRO_TIMEOUT", place, [TIMEOUT], `timeout ${ms}`);
  }
  if (rule.retry !== undefined) checkRetry(rule.retry, defaults?.retry, place);
  if (rule.auth !== undefined) checkAuth(rule.auth, place);
}

function checkRetry(rule: RetryRule, defaults: RetryRule | undefined, place: Place): void {
  const merged = mergedRetry(rule, defaults) ?? rule;
  if (merged.attempts < 2 || merged.attempts > MAX_ATTEMPTS) {
    const given = `retry.attempts is ${merged.attempts}`;
    report(
      "MICRO_RETRY",
      place,
      [RETRY, 1],
      `${given}; use 2 to ${MAX_ATTEMPTS}, including the first attempt`,
    );
  }
  const backoffMs = merged.backoff ? milliseconds(merged.backoff) : DEFAULT_BACKOFF_MS;
  const maxBackoffMs = merged.maxBackoff ? milliseconds(merged.maxBackoff) : undefined;
  if (typeof backoffMs === "string")
    report("MICRO_RETRY", place, [RETRY, 2], `retry.backoff ${backoffMs}`);
  if (typeof maxBackoffMs === "string") {
    report("MICRO_RETRY", place, [RETRY, 3], `retry.max_backoff ${maxBackoffMs}`);
  } else if (maxBackoffMs !== undefined && Number(backoffMs) > maxBackoffMs) {
    const both = `retry.max_backoff (${maxBackoffMs} ms) is less than backoff (${backoffMs} ms)`;
    report("MICRO_RETRY", place, [RETRY, 3], `${both}; use at least the backoff`);
  }
  for (const code of rule.on) {
    if (codes.includes(code)) continue;
    const guess = nearest(code, codes);
    const remedy =
      guess === undefined ? `use one of ${codes.join(", ")}` : `did you mean ${guess}?`;
    report(
      "MICRO_RETRY",
      place,
      [RETRY, 4],
      `retry.on has ${JSON.stringify(code)}, which is not a gRPC code; ${remedy}`,
    );
  }
}

function checkAuth(rule: AuthRule, place: Place): void {
  if (rule.public && rule.scopes.length > 0) {
    const both = `auth is public and requires the scopes ${rule.scopes.join(", ")}`;
    report("MICRO_AUTH", place, [AUTH], `${both}; remove one of the two`);
  }
  if (rule.scopes.some((scope) => scope.trim() === "")) {
    report(
      "MICRO_AUTH",
      place,
      [AUTH, 2],
      "auth.scopes contains an empty scope; name it or remove it",
    );
  }
}

function idempotencyOf(method: DescMethod): MethodPolicy["idempotency"] {
  switch (method.idempotency) {
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      return "idempotent";
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
      return "no_side_effects";
    default:
      return "unknown";
  }
}

/**
 * Why a method cannot be retried; undefined if it can. A method that is not idempotent can be
 * retried if the schema limits retries to `unavailable`: the runtime then repeats only attempts
 * that are known not to have run.
 */
function retryObstacle(
  method: DescMethod,
  idempotency: MethodPolicy["idempotency"],
  retry: RetryRule | undefined,
): string | undefined {
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") {
    return "retry requires a single request, because a stream cannot be sent twice; remove retry";
  }
  if (idempotency !== "unknown") return undefined;
  if (retry !== undefined && retry.on.length > 0 && retry.on.every((c) => c === "unavailable")) {
    return undefined;
  }
  return 'retry requires a method that is safe to repeat; set idempotency_level to IDEMPOTENT or NO_SIDE_EFFECTS, remove retry, or set on: "unavailable" to retry only attempts that never ran';
}

function mergedRetry(
  rule: RetryRule | undefined,
  defaults: RetryRule | undefined,
): RetryRule | undefined {
  if (rule === undefined || defaults === undefined) return rule ?? defaults;
  const backoff = rule.backoff ?? defaults.backoff;
  const maxBackoff = rule.maxBackoff ?? defaults.maxBackoff;
  return {
    ...rule,
    attempts: rule.attempts || defaults.attempts,
    ...(backoff && { backoff }),
    ...(maxBackoff && { maxBackoff }),
    on: rule.on.length > 0 ? rule.on : defaults.on,
  };
}

function retryPolicy(rule: RetryRule): RetryPolicy {
  const backoffMs = rule.backoff ? Number(milliseconds(rule.backoff)) : DEFAULT_BACKOFF_MS;
  const maxBackoffMs = rule.maxBackoff
    ? Number(milliseconds(rule.maxBackoff))
    : Math.max(DEFAULT_MAX_BACKOFF_MS, backoffMs);
  const on = rule.on.length > 0 ? [...new Set(rule.on)] : ["unavailable"];
  return { attempts: rule.attempts, backoffMs, maxBackoffMs, on };
}

function methodAuth(rule: AuthRule): MethodAuth {
  if (rule.public) return { public: true };
  return rule.scopes.length > 0 ? { scopes: rule.scopes } : {};
}
