import type { Account } from "../call/account.ts";
import type { AnyMethod } from "../call/method.ts";
import type { Decision, Resource, Rules } from "./auth.ts";

/** The rules that a decision needs. */
export type DecidingRules = Pick<Rules, "verify" | "scopesOf">;

/**
 * Who may call a method about which the schema says nothing and that no rule grants: no caller, or
 * every account.
 */
export type Unspecified = "denied" | "account";

const allowed: Decision = { allowed: true };

/**
 * Decides whether an account may call a method. The schema comes first, then the rules: they refuse
 * what it allows and grant what it leaves open, and never undo the account or the scopes that it
 * requires.
 */
export function decide(
  method: AnyMethod,
  account: Account | undefined,
  rules: DecidingRules | undefined,
  unspecified: Unspecified,
): Decision {
  const { auth } = method;
  if (auth !== undefined && auth.public !== true) {
    if (account === undefined) return unauthenticated("the schema requires an account");
    const granted = auth.scopes?.length ? (rules?.scopesOf(account) ?? []) : [];
    const missing = auth.scopes?.find(
      (scope) => !account.scopes.has(scope) && !granted.includes(scope),
    );
    if (missing !== undefined) return refused(`the account lacks the scope ${missing}`);
  }
  const resource: Resource = { type: "method", name: method.name };
  const verdict = rules?.verify(account, resource);
  if (verdict !== undefined) {
    const { access, rule, reason = "a rule denies it" } = verdict;
    const decision = access === "denied" ? denial(account, reason) : allowed;
    return rule === undefined ? decision : { ...decision, rule };
  }
  if (auth !== undefined) return allowed;
  if (unspecified === "account" && account !== undefined) return allowed;
  return denial(
    account,
    `neither the schema nor a rule allows any caller: add the option auth to the rpc, ` +
      `grant it by a rule, or set access.unspecified to "account"`,
  );
}

/** Another credential may help a caller without an account, but not one with an account. */
function denial(account: Account | undefined, reason: string): Decision & { allowed: false } {
  return account === undefined ? unauthenticated(reason) : refused(reason);
}

function unauthenticated(reason: string): Decision & { allowed: false } {
  return { allowed: false, code: "unauthenticated", reason };
}

function refused(reason: string): Decision & { allowed: false } {
  return { allowed: false, code: "permission_denied", reason };
}
