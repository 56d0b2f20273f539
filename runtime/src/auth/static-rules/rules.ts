import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import type { Account } from "../../call/account.ts";
import type { Resource, Rule, Rules, RuleVerdict, ScopeGrant } from "../auth.ts";
import { RuleSet } from "../rule-set.ts";

/**
 * Rules that are part of the program and never change.
 *
 * @throws MicroError `invalid_argument` for a rule that cannot be used, with the reason.
 *
 * @example
 * ```ts
 * import { staticRules } from "@micro-es/runtime/auth";
 *
 * const rules = staticRules([
 *   {
 *     id: "orders-reserve",
 *     access: "granted",
 *     priority: 0,
 *     resource: { type: "method", name: "acme.stock.v1.StockService/*" },
 *     subject: { account: "order" },
 *   },
 * ]);
 * ```
 */
export function staticRules(entries: readonly (Rule | ScopeGrant)[]): Rules {
  return new StaticRules(new RuleSet(structuredClone(entries)));
}

class StaticRules extends Closable implements Rules {
  readonly name: string = "static";
  readonly version: number = 1;
  readonly #set: RuleSet;
  readonly #status = new BackendStatus();

  constructor(set: RuleSet) {
    super();
    this.#set = set;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  verify(account: Account | undefined, resource: Resource): RuleVerdict | undefined {
    return this.#set.verify(account, resource);
  }

  scopesOf(account: Account): readonly string[] {
    return this.#set.scopesOf(account);
  }

  async grant(): Promise<void> {
    throw unchangeable("granted");
  }

  async revoke(): Promise<boolean> {
    throw unchangeable("revoked");
  }

  list(): readonly (Rule | ScopeGrant)[] {
    return this.#set.entries;
  }

  onChange(): () => void {
    return () => {};
  }

  protected async closeOnce(): Promise<void> {}
}

function unchangeable(what: string): MicroError {
  return new MicroError(
    "unimplemented",
    `static rules cannot be ${what}; use storeRules for rules that change`,
    { outcome: "not-executed" },
  );
}
