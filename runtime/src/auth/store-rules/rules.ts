import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { asMicroError, MicroError, messageOf } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import {
  checkOptions,
  logger as loggerKind,
  part,
  required,
  text,
} from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import type { Account } from "../../call/account.ts";
import type { Store, StoreEvent, StoreRecord } from "../../store/store.ts";
import type { Resource, Rule, Rules, RuleVerdict, ScopeGrant } from "../auth.ts";
import { FollowedRecords } from "../followed-records.ts";
import { KeptFile } from "../kept-file.ts";
import { RuleSet } from "../rule-set.ts";
import { decodeRule, encodeRule, ruleKey, rulesPrefix } from "./record.ts";

/** Options of {@link storeRules}. */
export interface StoreRulesOptions {
  /** Has the rules, one record each, below `auth/rules/`. Closing the rules leaves it open. */
  readonly store: Store;
  /**
   * A file that keeps the last good rules, for a start while the store cannot be reached. Readable
   * only by its owner. Default: none is kept.
   */
  readonly lastKnownGood?: string;
  /** Default: that of the service that uses the rules. */
  readonly logger?: Logger;
}

/** The content of the file for a start without the store. */
interface KeptRules {
  readonly rules: readonly (Rule | ScopeGrant)[];
}

/** The longest time that a start waits for the store, in milliseconds. */
const openMs = 1_000;
/** Changes within this time are applied together, in milliseconds. */
const gatherMs = 20;

/**
 * Rules in a store, shared by all services that use it. A change takes effect everywhere within a
 * second if the store can be watched, otherwise within ten seconds.
 *
 * All records together are one version of the rules: if one of them cannot be used, the version
 * before stays in force and the state is `degraded`. As long as no version was ever loaded, every
 * access is denied.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@micro-es/runtime";
 * import { storeRules } from "@micro-es/runtime/auth";
 *
 * await using store = memoryStore();
 * await using rules = storeRules({ store });
 * await rules.grant({
 *   id: "no-order-at-night",
 *   access: "denied",
 *   priority: 10,
 *   resource: { type: "method", name: "acme.order.*" },
 *   subject: { scope: "batch" },
 * });
 * ```
 */
export function storeRules(options: StoreRulesOptions): Rules {
  checkOptions("storeRules", options, {
    store: required(part("a Store", "natsStore()", "read", "write", "list")),
    lastKnownGood: text,
    logger: loggerKind,
  });
  if (!options.store.guarantees.compareAndSet) {
    throw new MicroError(
      "invalid_argument",
      `storeRules: the store ${options.store.name} has no compare-and-set, which rules need`,
      { outcome: "not-executed" },
    );
  }
  return new StoreRules(options);
}

class StoreRules extends Closable implements Rules {
  readonly name: string = "store";
  readonly #store: Store;
  readonly #followed: FollowedRecords;
  readonly #kept: KeptFile<KeptRules> | undefined;
  readonly #logger: PartLogger;
  readonly #status = new BackendStatus();
  readonly #listeners = new Set<() => void>();
  /** The records of the store, whether they can be used or not. */
  readonly #records = new Map<string, StoreRecord>();
  /** The rules in force; undefined as long as none were ever loaded. */
  #set: RuleSet | undefined;
  #version = 0;
  /** Why the records are not in force. */
  #fault: { readonly key: string | undefined; readonly error: MicroError } | undefined;
  #failure: MicroError | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #opening: Promise<void> | undefined;

  constructor({ store, lastKnownGood, logger }: StoreRulesOptions) {
    super();
    this.#store = store;
    if (lastKnownGood !== undefined) {
      this.#kept = new KeptFile(lastKnownGood, "the rules", ({ rules }) => {
        if (!Array.isArray(rules)) throw new Error("unknown format");
        return { rules: new RuleSet(rules).entries };
      });
    }
    this.#logger = new PartLogger(logger, createLogger());
    this.#followed = new FollowedRecords(store, rulesPrefix, {
      changed: (event) => this.#changed(event),
      failing: (reason) => {
        this.#failure = reason;
        this.#tellState();
      },
    });
  }

  get state(): BackendState {
    return this.#status.state;
  }

  get version(): number {
    return this.#version;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  verify(account: Account | undefined, resource: Resource): RuleVerdict | undefined {
    if (this.#set === undefined) return { access: "denied", reason: "no rules were ever loaded" };
    return this.#set.verify(account, resource);
  }

  scopesOf(account: Account): readonly string[] {
    return this.#set?.scopesOf(account) ?? [];
  }

  list(): readonly (Rule | ScopeGrant)[] {
    return this.#set?.entries ?? [];
  }

  /**
   * Resolves also when there are no rules, after a short time: a service that denies everything can
   * say so, and works as soon as the store responds.
   */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async grant(entry: Rule | ScopeGrant): Promise<void> {
    const only = new RuleSet([structuredClone(entry)]);
    const [granted] = only.entries;
    const key = ruleKey(granted!.id);
    await this.#requireLoaded(`grant ${granted!.id}`);
    if (this.#fault === undefined) {
      const others = this.list().filter(({ id }) => id !== granted!.id);
      new RuleSet([...others, granted!]);
    } else if (this.#fault.key !== key) {
      const { message } = this.#fault.error;
      throw new MicroError(
        "failed_precondition",
        `cannot grant ${granted!.id} while the rules in the store cannot be used: ${message}; ` +
          "revoke that one first",
        { outcome: "not-executed", cause: this.#fault.error },
      );
    }
    const ifVersion = this.#records.get(key)?.version ?? 0n;
    await this.#store.write(key, encodeRule(granted!), { ifVersion });
    await this.#followed.refresh();
  }

  async revoke(id: string): Promise<boolean> {
    await this.#requireLoaded(`revoke ${id}`);
    await this.#followed.refresh();
    const record = this.#records.get(ruleKey(id));
    if (record === undefined) return false;
    const existed = await this.#store.delete(record.key, { ifVersion: record.version });
    await this.#followed.refresh();
    return existed;
  }

  protected async closeOnce(): Promise<void> {
    clearTimeout(this.#gathering);
    await this.#followed.close();
    await this.#kept?.saved();
  }

  async #open(): Promise<void> {
    try {
      const kept = await this.#kept?.load();
      if (kept !== undefined) this.#set = new RuleSet(kept.rules);
    } catch (reason) {
      this.#logger.warn({ error: messageOf(reason) }, "the kept rules are not used");
    }
    if (this.#set !== undefined) this.#tellChange();
    await this.#followed.open(openMs);
    this.#failure ??= this.#followed.loaded
      ? undefined
      : new MicroError("unavailable", `the store ${this.#store.name} does not respond`);
    this.#tellState();
    if (this.#set !== undefined) return;
    const error = this.#fault?.error ?? this.#failure;
    this.#logger.error(
      { error: error?.message },
      "no rules were ever loaded: every access is denied until the store has rules that can be used",
    );
  }

  async #requireLoaded(what: string): Promise<void> {
    await this.open();
    if (this.#followed.loaded) return;
    throw new MicroError(
      "unavailable",
      `cannot ${what}: the rules of the store ${this.#store.name} were not loaded`,
      { outcome: "not-executed", cause: this.#failure },
    );
  }

  #changed(event: StoreEvent): void {
    if (event.type === "snapshot") {
      this.#records.clear();
      for (const record of event.records) this.#records.set(record.key, record);
      this.#apply();
      return;
    }
    if (event.type === "deleted") {
      if (!this.#records.delete(event.key)) return;
    } else {
      const { record } = event;
      const known = this.#records.get(record.key);
      // A change that a reading of all records was ahead of.
      if (known !== undefined && known.version >= record.version) return;
      this.#records.set(record.key, record);
    }
    this.#gathering ??= setTimeout(() => this.#apply(), gatherMs);
  }

  /** Puts the records in force, all of them or none. */
  #apply(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    let key: string | undefined;
    try {
      const entries: (Rule | ScopeGrant)[] = [];
      for (const record of this.#records.values()) {
        ({ key } = record);
        const [entry] = new RuleSet([decodeRule(record)]).entries;
        entries.push(entry!);
      }
      key = undefined;
      this.#set = new RuleSet(entries);
      this.#fault = undefined;
      this.#keep(entries);
      this.#tellChange();
    } catch (reason) {
      const error = asMicroError(reason, "data_loss");
      if (this.#fault?.key !== key || this.#fault?.error.message !== error.message) {
        this.#logger.error(
          { error: error.message, key },
          this.#set === undefined
            ? "a rule in the store cannot be used: every access is denied"
            : "a rule in the store cannot be used: the rules before stay in force",
        );
      }
      this.#fault = { key, error };
    }
    this.#tellState();
  }

  #keep(entries: readonly (Rule | ScopeGrant)[]): void {
    this.#kept?.save({ rules: entries }).catch((reason: unknown) => {
      this.#logger.warn({ error: messageOf(reason) }, "the rules are not kept for the next start");
    });
  }

  #tellChange(): void {
    this.#version++;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        process.emitWarning(`a listener of rules threw: ${messageOf(error)}`, "MicroWarning");
      }
    }
  }

  #tellState(): void {
    const reason = this.#fault?.error ?? this.#failure;
    if (reason === undefined) this.#status.set("healthy");
    else this.#status.set(this.#set === undefined ? "lost" : "degraded", reason);
  }
}
