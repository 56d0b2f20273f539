import { MicroError, messageOf } from "../../base/error.ts";
import type { StoreRecord } from "../../store/store.ts";
import type { Rule, ScopeGrant } from "../auth.ts";

/** Where the rules are in a store. */
export const rulesPrefix = "auth/rules/";

export function ruleKey(id: string): string {
  return rulesPrefix + id;
}

/** The value of a rule's record: all of the rule but its id, which is in the key. */
export function encodeRule({ id: _, ...rest }: Rule | ScopeGrant): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rest));
}

/**
 * The rule in a record, as it is written: only a `RuleSet` checks it.
 * @throws MicroError `data_loss` for a record that is not a JSON object.
 */
export function decodeRule({ key, value }: StoreRecord): Rule | ScopeGrant {
  let rule: unknown;
  try {
    rule = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch (error) {
    throw malformed(key, messageOf(error));
  }
  if (typeof rule !== "object" || rule === null || Array.isArray(rule)) {
    throw malformed(key, "it is not an object");
  }
  return { ...(rule as Rule | ScopeGrant), id: key.slice(rulesPrefix.length) };
}

function malformed(key: string, why: string): MicroError {
  return new MicroError("data_loss", `the record ${JSON.stringify(key)} is not a rule: ${why}`);
}
