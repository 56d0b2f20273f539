import { throwIfAborted, untilAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { asMicroError, MicroError, messageOf } from "../../base/error.ts";
import { type Logger, silentLogger } from "../../base/logger.ts";
import { checkOption, checkOptions, listOf, logger } from "../../base/option-check.ts";
import { registry as registryKind } from "../../base/option-kinds.ts";
import { PartLogger } from "../../base/part-logger.ts";
import { settleAll } from "../../base/settle-all.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import { checkReadOptions, checkRegisterOptions, type ReadOptions } from "../option-kinds.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "../registry.ts";
import { validateNode, validateServiceName } from "../validate.ts";
import { WatchedNodes } from "../watched-nodes.ts";
import { mergedGuarantees } from "./guarantees.ts";
import { MergedRegistration } from "./registration.ts";
import { MergedService } from "./service.ts";
import { settleSome } from "./settle-some.ts";

/** Options for {@link mergeRegistries}. */
export interface MergedRegistryOptions {
  readonly logger?: Logger;
}

/**
 * Uses several registries as one, so that a fleet can move from one to another without a stop.
 * Nodes are registered in all of them that register, and found in any. Where two have different
 * records of a node, the first one's counts. A registry that cannot be reached does not hide the
 * nodes of the others: the state is `degraded`, and `lost` only when all are. Nodes are registered
 * with it when it is back. Closing it closes all of them.
 *
 * @throws MicroError `invalid_argument` for an empty list or something that is not a registry.
 * @example
 * ```ts
 * import { createService, mdnsRegistry, mergeRegistries } from "@micro-es/runtime";
 * import type { Registry } from "@micro-es/runtime";
 *
 * declare const etcd: Registry;
 * const registry = mergeRegistries([mdnsRegistry(), etcd]);
 * const service = createService({ name: "greeter", registry });
 * ```
 */
export function mergeRegistries(
  registries: readonly Registry[],
  options: MergedRegistryOptions = {},
): Registry {
  const several = listOf("registries", "[mdnsRegistry(), etcdRegistry()]", registryKind);
  const kind = {
    ...several,
    accepts: (value: unknown) =>
      several.accepts(value) && new Set(value as Registry[]).size === (value as []).length,
  };
  checkOption("mergeRegistries", "registries", kind, registries ?? null);
  checkOptions("mergeRegistries", options, { logger });
  if (registries.length === 0) {
    throw new MicroError("invalid_argument", "mergeRegistries needs at least one registry", {
      outcome: "not-executed",
    });
  }
  return new MergedRegistry([...registries], options);
}

class MergedRegistry extends Closable implements Registry {
  readonly name: string;
  readonly guarantees: RegistryGuarantees;
  readonly #members: readonly Registry[];
  readonly #logger: PartLogger;
  readonly #services = new Map<string, MergedService>();
  readonly #registrations = new Map<string, MergedRegistration>();
  readonly #all = new Set<MergedRegistration>();
  readonly #status = new BackendStatus();
  readonly #reasons = new Map<Registry, MicroError | undefined>();
  readonly #closed: AbortController = sharedAbortController();
  readonly #unsubscribe: readonly (() => void)[];
  /** The last failure to read from a registry, so that each is logged once. */
  readonly #failures = new Map<Registry, string>();

  constructor(members: readonly Registry[], options: MergedRegistryOptions) {
    super();
    this.name = `merged(${members.map(({ name }) => name).join(", ")})`;
    this.guarantees = mergedGuarantees(members);
    this.#members = members;
    this.#logger = new PartLogger(options.logger, silentLogger);
    this.#unsubscribe = members.map((member) =>
      member.onStateChange((_, reason) => this.#onState(member, reason)),
    );
    for (const member of members) this.#onState(member, undefined);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
    for (const member of this.#members) member.useLogger?.(logger);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    checkRegisterOptions(node, options);
    this.#check(`register ${valid.id}`, options.signal);
    const members = this.#members.filter(({ guarantees }) => guarantees.registers !== false);
    // The only member that can refuse it explains why.
    const [first] = this.#members;
    if (members.length === 0 && first !== undefined) return first.register(valid, options);
    const before = this.#registrations.get(valid.id);
    const registration = new MergedRegistration(valid, {
      members,
      options,
      logger: this.#logger,
      onClose: () => {
        this.#all.delete(registration);
        if (this.#registrations.get(valid.id) === registration) {
          this.#registrations.delete(valid.id);
        }
      },
    });
    this.#all.add(registration);
    // A retry of the earlier registration would replace this record.
    before?.pause();
    this.#registrations.set(valid.id, registration);
    try {
      await registration.begin();
    } catch (error) {
      before?.resume();
      throw error;
    }
    return registration;
  }

  async get(service: string, options: ReadOptions = {}): Promise<readonly Node[]> {
    const what = `get ${service}`;
    checkReadOptions(what, options);
    validateServiceName(service);
    const nodes = new Map<string, Node>();
    const found = await this.#ask(what, options.signal, (member) => member.get(service, options));
    const byState = [...found.keys()].sort((a, b) => this.#isLost(a) - this.#isLost(b));
    for (const index of byState) {
      const known = found[index] ?? this.#services.get(service)?.knownTo(index) ?? [];
      for (const node of known) if (!nodes.has(node.id)) nodes.set(node.id, node);
    }
    return [...nodes.values()];
  }

  async list(options: ReadOptions = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    const found = await this.#ask("list services", options.signal, (member) =>
      member.list(options),
    );
    return [...new Set(found.flatMap((names) => names ?? []))].sort();
  }

  watch(service: string, options: ReadOptions = {}): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        if (signals.some((signal) => signal?.aborted === true)) {
          return new WatchedNodes().watch({ signals })[Symbol.asyncIterator]();
        }
        const merged = this.#follow(service);
        const onBegin = () => merged.first;
        const onEnd = () => {
          if (merged.nodes.watchers > 0) return;
          merged.end();
          if (this.#services.get(service) === merged) this.#services.delete(service);
        };
        return merged.nodes.watch({ signals, onBegin, onEnd })[Symbol.asyncIterator]();
      },
    };
  }

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const service of this.#services.values()) service.end();
    this.#services.clear();
    const failures = [
      ...(await settleAll(this.#all, (each) => each.close())),
      ...(await settleAll(this.#members, (member) => member.close())),
    ];
    const [failure] = failures;
    if (failure === undefined) return;
    throw new MicroError(
      "internal",
      `${this.name} did not close: ${failures.map(({ reason }) => messageOf(reason)).join("; ")}`,
      { cause: failure.reason },
    );
  }

  #follow(name: string): MergedService {
    let service = this.#services.get(name);
    if (service === undefined) {
      service = new MergedService(name, this.#members, this.#logger);
      this.#services.set(name, service);
    }
    return service;
  }

  /**
   * Asks all registries.
   * @returns what each responded with; undefined for one that failed or is too slow.
   * @throws MicroError the failure of a registry if no other has found anything.
   */
  async #ask<T>(
    what: string,
    signal: AbortSignal | undefined,
    ask: (member: Registry) => Promise<readonly T[]>,
  ): Promise<readonly (readonly T[] | undefined)[]> {
    this.#check(what, signal);
    const works = this.#members.map(ask);
    const patience = {
      suffices: (found: readonly T[]) => found.length > 0,
      isHopeless: (index: number) => this.#isLost(index) > 0,
    };
    const results = await untilAborted(settleSome(works, patience), signal);
    this.#check(what, signal);
    let failure: MicroError | undefined;
    const found = results.map((result, index) => {
      const member = this.#members[index]!;
      if (result?.status === "fulfilled") {
        this.#failures.delete(member);
        return result.value;
      }
      const error = asMicroError(
        result?.reason ?? new Error(`${member.name} did not respond in time`),
        "unavailable",
      );
      failure ??= error;
      this.#logFailure(member, what, error);
      return undefined;
    });
    const hasFound = found.some((values) => values !== undefined && values.length > 0);
    if (failure !== undefined && !hasFound) throw failure;
    return found;
  }

  #logFailure(member: Registry, what: string, error: MicroError): void {
    if (this.#failures.get(member) === error.code) return;
    this.#failures.set(member, error.code);
    this.#logger.warn(
      { registry: member.name, error },
      `cannot ${what} in one of several registries; the others are used`,
    );
  }

  #isLost(index: number): number {
    return this.#members[index]?.state === "lost" ? 1 : 0;
  }

  #onState(member: Registry, reason: MicroError | undefined): void {
    this.#reasons.set(member, reason);
    for (const service of this.#services.values()) service.refresh();
    const ill = this.#members.filter(({ state }) => state !== "healthy");
    if (ill.length === 0) {
      this.#status.set("healthy");
      return;
    }
    const details = ill.map((each) => {
      const why = this.#reasons.get(each);
      return `${each.name} is ${each.state}${why === undefined ? "" : ` (${why.message})`}`;
    });
    const error = new MicroError("unavailable", `${this.name}: ${details.join("; ")}`, {
      cause: reason,
    });
    const areAllLost = this.#members.every(({ state }) => state === "lost");
    const state = areAllLost ? "lost" : "degraded";
    if (this.#status.state === state) this.#status.explain(error);
    else this.#status.set(state, error);
  }

  #check(what: string, signal: AbortSignal | undefined): void {
    if (this.#closed.signal.aborted) {
      throw new MicroError("unavailable", `cannot ${what}: the registry is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }
}
