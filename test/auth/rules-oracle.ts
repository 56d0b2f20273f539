import type { Rule, ScopeGrant } from "../../runtime/src/auth/auth.ts";
import type { Unspecified } from "../../runtime/src/auth/decide.ts";
import type { Account } from "../../runtime/src/call/account.ts";
import type { AnyMethod } from "../../runtime/src/call/method.ts";

/*
 * A second implementation of the decision about a caller, for tests. It shares no code with the
 * first one, and follows the words of the contract: it looks for the one rule that no other rule
 * precedes, instead of sorting.
 */

/** The expected decision: the code of the refusal, and the rule that decides. */
export interface Expected {
  readonly result: "allowed" | "unauthenticated" | "permission_denied";
  readonly rule: string | undefined;
}

export function expectedDecision(
  method: AnyMethod,
  caller: Account | undefined,
  entries: readonly (Rule | ScopeGrant)[],
  unspecified: Unspecified,
): Expected {
  const refused = caller === undefined ? "unauthenticated" : "permission_denied";
  const scopes = scopesOf(caller, entries);
  const stated = method.auth;
  const needsAccount = stated !== undefined && stated.public !== true;
  if (needsAccount && caller === undefined) return { result: "unauthenticated", rule: undefined };
  if (needsAccount && !(stated.scopes ?? []).every((scope) => scopes.has(scope))) {
    return { result: "permission_denied", rule: undefined };
  }
  const applying: Rule[] = [];
  for (const entry of entries) {
    if (!("subject" in entry)) continue;
    if (covers(entry, method.name) && isMeant(entry, caller, scopes)) applying.push(entry);
  }
  const deciding = applying.find((rule) =>
    applying.every((other) => other === rule || precedes(rule, other)),
  );
  if (deciding !== undefined) {
    return { result: deciding.access === "granted" ? "allowed" : refused, rule: deciding.id };
  }
  if (stated !== undefined) return { result: "allowed", rule: undefined };
  const open = unspecified === "account" && caller !== undefined;
  return { result: open ? "allowed" : refused, rule: undefined };
}

function scopesOf(caller: Account | undefined, entries: readonly (Rule | ScopeGrant)[]) {
  const scopes = new Set<string>();
  if (caller === undefined) return scopes;
  for (const scope of caller.scopes) scopes.add(scope);
  for (const entry of entries) {
    if (!("scopes" in entry)) continue;
    if (entry.account !== caller.id || entry.issuer !== caller.issuer) continue;
    for (const scope of entry.scopes) scopes.add(scope);
  }
  return scopes;
}

function covers({ resource }: Rule, name: string): boolean {
  if (resource.type !== "method") return false;
  if (resource.name === "*") return true;
  const [, folder, separator] = /^(.*)([./])\*$/.exec(resource.name) ?? [];
  if (folder === undefined || separator === undefined) return resource.name === name;
  return name.split(separator).length > 1 && name.indexOf(folder + separator) === 0;
}

function isMeant({ subject }: Rule, caller: Account | undefined, scopes: ReadonlySet<string>) {
  if (Object.keys(subject).length === 0) return true;
  if (caller === undefined) return false;
  return (
    [undefined, caller.id].includes(subject.account) &&
    [undefined, caller.issuer].includes(subject.issuer) &&
    (subject.scope === undefined || scopes.has(subject.scope))
  );
}

function precedes(one: Rule, other: Rule): boolean {
  if (one.priority !== other.priority) return one.priority > other.priority;
  if (one.access !== other.access) return one.access === "denied";
  const [detail, otherDetail] = [detailOf(one), detailOf(other)];
  if (detail !== otherDetail) return detail > otherDetail;
  return one.id < other.id;
}

/** How much of a name a rule states: everything for a name without `*`. */
function detailOf({ resource: { name } }: Rule): number {
  return name.endsWith("*") ? name.length : Number.POSITIVE_INFINITY;
}
