import type { MethodModel, SubscriberModel } from "../model/declarations.ts";
import { inWords } from "../rules/duration.ts";
import type { MethodAuth, MethodPolicy } from "../rules/method-policy.ts";
import { methodOption, subscribeOption } from "../rules/read.ts";
import type { Place, ReportChange } from "./changes.ts";
import type { Rpc, SchemaSide } from "./schema-side.ts";

const TIMEOUT = 1;
const AUTH = 3;
const AUTH_SCOPES = 2;
const QUEUE = 1;
const IDEMPOTENCY: readonly number[] = [4, 34];

/** The runtime's default timeout of a call, in milliseconds. */
const defaultTimeoutMs = 30_000;

/** Compares the rpcs that both schemas have. buf's own rules report deleted ones. */
export function compareRpcs(
  was: SchemaSide,
  now: SchemaSide,
  concerns: (rpc: Rpc) => boolean,
  report: ReportChange,
): void {
  for (const [name, old] of was.rpcs) {
    const current = now.rpcs.get(name);
    if (current === undefined || !concerns(old)) continue;
    if (old.kind === "method" && current.kind === "method") compareMethod(old, current, report);
    else if (old.kind === "subscriber" && current.kind === "subscriber") {
      compareSubscriber(old, current, report);
    } else reportRole(name, old, current, report);
  }
}

function reportRole(name: string, old: Rpc, current: Rpc, report: ReportChange): void {
  const message =
    current.kind === "subscriber"
      ? `${name} was a method and is now a subscriber; its callers get unimplemented: add the subscriber under another name`
      : `${name} was a subscriber and is now a method; its queue receives no more events: add the method under another name`;
  report("MICRO_METHOD_SAME_ROLE", at(current, subscribeOption), at(old, subscribeOption), message);
}

function compareMethod(old: MethodModel, current: MethodModel, report: ReportChange): void {
  compareRepetition(old, current, report);
  const [before, after] = [timeoutOf(old.policy), timeoutOf(current.policy)];
  if (after < before) {
    const path = [...methodOption, TIMEOUT];
    report(
      "MICRO_TIMEOUT_NO_DECREASE",
      at(current, path),
      at(old, path),
      `the timeout was ${inWords(before)} and is now ${inWords(after)}; calls that take longer will fail`,
    );
  }
  compareAuth(old, current, report);
}

function compareRepetition(old: MethodModel, current: MethodModel, report: ReportChange): void {
  const [before, after] = [isRepeated(old), isRepeated(current)];
  if (before && !after && current.policy.idempotency === "unknown") {
    report(
      "MICRO_METHOD_STAYS_IDEMPOTENT",
      at(current, IDEMPOTENCY),
      at(old, IDEMPOTENCY),
      `the method was ${levelOf(old.policy)} and no longer is; existing callers repeat calls that may have run: keep the level, or add a method`,
    );
  } else if (!before && after) {
    report(
      "MICRO_METHOD_NOT_NEWLY_REPEATED",
      at(current, IDEMPOTENCY),
      at(old, IDEMPOTENCY),
      `the method was not idempotent and is now ${levelOf(current.policy)}; callers will repeat calls that may have run on an existing handler: deploy handlers that support it everywhere first, then ignore this finding`,
    );
  }
}

/**
 * Whether callers repeat a call that may have run. They do so for this level, even without a retry
 * in the schema.
 */
function isRepeated({ desc, policy }: MethodModel): boolean {
  const singleRequest = desc.methodKind === "unary" || desc.methodKind === "server_streaming";
  return singleRequest && policy.idempotency !== "unknown";
}

function levelOf({ idempotency }: MethodPolicy): string {
  return idempotency === "no_side_effects" ? "NO_SIDE_EFFECTS" : "IDEMPOTENT";
}

function timeoutOf({ timeoutMs }: MethodPolicy): number {
  return timeoutMs ?? defaultTimeoutMs;
}

function compareAuth(old: MethodModel, current: MethodModel, report: ReportChange): void {
  const [before, after] = [old.policy.auth, current.policy.auth];
  const place = (rpc: Rpc, ...path: number[]) => at(rpc, [...methodOption, AUTH, ...path]);
  if (requiresAccount(before) && !requiresAccount(after)) {
    const what = after?.public === true ? "is now public" : "no longer has auth";
    report(
      "MICRO_AUTH_NO_DELETE",
      place(current),
      place(old),
      `the method required ${inAuthWords(before)} and ${what}; anyone who can reach it can call it`,
    );
  } else if (!requiresAccount(before) && requiresAccount(after)) {
    report(
      "MICRO_AUTH_NO_ADD",
      place(current),
      place(old),
      `the method required no account and now requires ${inAuthWords(after)}; callers without one are rejected: give them one first`,
    );
  } else {
    const dropped = scopesOf(before).filter((scope) => !scopesOf(after).includes(scope));
    if (dropped.length > 0) {
      report(
        "MICRO_SCOPE_NO_DELETE",
        place(current, AUTH_SCOPES),
        place(old, AUTH_SCOPES),
        `the method no longer requires ${inScopeWords(dropped)}; accounts without it can now call the method`,
      );
    }
    const added = scopesOf(after).filter((scope) => !scopesOf(before).includes(scope));
    if (added.length > 0) {
      report(
        "MICRO_SCOPE_NO_ADD",
        place(current, AUTH_SCOPES),
        place(old, AUTH_SCOPES),
        `the method now requires ${inScopeWords(added)}; callers without it are rejected: grant it first`,
      );
    }
  }
}

function requiresAccount(auth: MethodAuth | undefined): boolean {
  return auth !== undefined && auth.public !== true;
}

function scopesOf(auth: MethodAuth | undefined): readonly string[] {
  return auth?.scopes ?? [];
}

function inAuthWords(auth: MethodAuth | undefined): string {
  const scopes = scopesOf(auth);
  return scopes.length === 0 ? "an account" : `an account with ${inScopeWords(scopes)}`;
}

function inScopeWords(scopes: readonly string[]): string {
  return `the ${scopes.length === 1 ? "scope" : "scopes"} ${scopes.join(", ")}`;
}

function compareSubscriber(
  old: SubscriberModel,
  current: SubscriberModel,
  report: ReportChange,
): void {
  const [before, after] = [old.subscription.queue, current.subscription.queue];
  if (before === after) return;
  const group = (queue: string | undefined) => (queue === undefined ? "none" : queue);
  const path = [...subscribeOption, QUEUE];
  report(
    "MICRO_SUBSCRIBER_SAME_QUEUE",
    at(current, path),
    at(old, path),
    `the subscriber's queue group was ${group(before)} and is now ${group(after)}; while both run, each event is handled twice, and events pending in the old group are lost: keep the group`,
  );
}

function at(rpc: Rpc, optionPath: readonly number[]): Place {
  return { element: rpc.desc, optionPath };
}
