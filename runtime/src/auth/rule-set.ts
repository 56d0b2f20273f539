import { MicroError } from "../base/error.ts";
import type { Account } from "../call/account.ts";
import type { Resource, ResourcePattern, Rule, RuleVerdict, ScopeGrant, Subject } from "./auth.ts";
import { PreparedPattern } from "./resource-pattern.ts";

/** The most rules and grants of a set. */
export const maxRules = 10_000;

interface PreparedRule {
  readonly rule: Rule;
  readonly pattern: PreparedPattern;
}

const ruleKeys: readonly (keyof Rule)[] = ["id", "access", "priority", "resource", "subject"];
const grantKeys: readonly (keyof ScopeGrant)[] = ["id", "issuer", "account", "scopes"];
const resourceKeys: readonly (keyof ResourcePattern)[] = ["type", "name"];
const subjectKeys: readonly (keyof Subject)[] = ["scope", "account", "issuer"];

/**
 * An immutable set of rules and grants, in the order in which rules decide: by priority; of equal
 * ones denials first, then the more specific resource, then the id.
 */
export class RuleSet {
  readonly entries: readonly (Rule | ScopeGrant)[];
  readonly #rules: readonly PreparedRule[];
  /** Scopes by issuer and account. */
  readonly #scopes = new Map<string, readonly string[]>();

  /**
   * @throws MicroError `invalid_argument` if one of the entries cannot be used: no part of a set is
   * applied without the rest of it.
   */
  constructor(entries: readonly (Rule | ScopeGrant)[] = []) {
    if (entries.length > maxRules) {
      throw new MicroError("resource_exhausted", `there are more than ${maxRules} rules`);
    }
    const ids = new Set<string>();
    const rules: PreparedRule[] = [];
    for (const entry of entries) {
      checkId(entry.id);
      if (ids.has(entry.id)) throw invalid(`two rules have the id ${JSON.stringify(entry.id)}`);
      ids.add(entry.id);
      if (isRule(entry)) rules.push(prepared(entry));
      else this.#addScopes(entry);
    }
    this.entries = [...entries];
    this.#rules = rules.sort(byOrder);
  }

  verify(account: Account | undefined, resource: Resource): RuleVerdict | undefined {
    for (const { rule, pattern } of this.#rules) {
      if (pattern.matches(resource) && selects(rule.subject, account, this)) {
        return { access: rule.access, rule: rule.id };
      }
    }
    return undefined;
  }

  scopesOf({ issuer, id }: Account): readonly string[] {
    return this.#scopes.get(scopeKey(issuer, id)) ?? [];
  }

  #addScopes(grant: ScopeGrant): void {
    const { id, issuer, account, scopes } = grant;
    const where = `the grant ${JSON.stringify(id)}`;
    checkKeys(grant, grantKeys, where);
    checkText(issuer, `${where}: issuer`);
    checkText(account, `${where}: account`);
    if (!Array.isArray(scopes) || scopes.length === 0) {
      throw invalid(`${where}: scopes must be a list of at least one scope`);
    }
    for (const scope of scopes) checkText(scope, `${where}: scopes`);
    const key = scopeKey(issuer, account);
    this.#scopes.set(key, [...(this.#scopes.get(key) ?? []), ...scopes]);
  }
}

function isRule(entry: Rule | ScopeGrant): entry is Rule {
  return "access" in entry || "resource" in entry;
}

function prepared(rule: Rule): PreparedRule {
  const where = `the rule ${JSON.stringify(rule.id)}`;
  if (rule.access !== "granted" && rule.access !== "denied") {
    throw invalid(`${where}: access must be granted or denied`);
  }
  if (!Number.isSafeInteger(rule.priority)) {
    throw invalid(`${where}: priority must be a whole number`);
  }
  if (typeof rule.resource !== "object" || rule.resource === null) {
    throw invalid(`${where}: it names no resource`);
  }
  checkKeys(rule, ruleKeys, where);
  checkKeys(rule.resource, resourceKeys, `${where}: resource`);
  if (typeof rule.subject !== "object" || rule.subject === null) {
    throw invalid(`${where}: subject must be an object; {} selects everybody`);
  }
  checkKeys(rule.subject, subjectKeys, `${where}: subject`);
  for (const [key, value] of Object.entries(rule.subject)) {
    checkText(value, `${where}: subject.${key}`);
  }
  return { rule, pattern: new PreparedPattern(rule.resource, where) };
}

function selects(subject: Subject, account: Account | undefined, rules: RuleSet): boolean {
  const { scope, account: id, issuer } = subject;
  if (scope === undefined && id === undefined && issuer === undefined) return true;
  if (account === undefined) return false;
  if (id !== undefined && id !== account.id) return false;
  if (issuer !== undefined && issuer !== account.issuer) return false;
  return (
    scope === undefined || account.scopes.has(scope) || rules.scopesOf(account).includes(scope)
  );
}

function byOrder(a: PreparedRule, b: PreparedRule): number {
  return (
    b.rule.priority - a.rule.priority ||
    Number(b.rule.access === "denied") - Number(a.rule.access === "denied") ||
    b.pattern.specificity - a.pattern.specificity ||
    (a.rule.id < b.rule.id ? -1 : 1)
  );
}

function scopeKey(issuer: string, account: string): string {
  return JSON.stringify([issuer, account]);
}

/** A property that nothing reads may be meant to narrow what the rule applies to. */
function checkKeys(value: object, known: readonly string[], where: string): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw invalid(`${where} has the unknown property ${JSON.stringify(unknown)}`);
}

function checkId(id: unknown): void {
  if (typeof id === "string" && /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/.test(id)) return;
  throw invalid(
    `the id ${JSON.stringify(id)} of a rule must be 1 to 128 letters, digits, or one of . _ : @ -`,
  );
}

function checkText(value: unknown, what: string): void {
  if (typeof value === "string" && value.length > 0 && value.length <= 1_024) return;
  throw invalid(`${what} must be a text of 1 to 1,024 characters`);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
