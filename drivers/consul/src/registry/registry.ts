import {
  type Deadline,
  type Logger,
  type Node,
  type Registry,
  type RegistryEvent,
  silentLogger,
} from "@micro-es/runtime";
import {
  checkOptions,
  checkReadOptions,
  checkRegisterOptions,
  closeInOrder,
  DeadlineSweep,
  isServiceName,
  logger,
  PartLogger,
  type RegisterOptions,
  type Registration,
  type RegistryGuarantees,
  sharedAbortController,
  untilAborted,
  validateNode,
  validateServiceName,
  WatchedNodes,
} from "@micro-es/runtime/driver";
import { consulFailure } from "../link/failure.ts";
import { maxWaits } from "../link/http.ts";
import { consulPartKinds } from "../link/options.ts";
import { ConsulPart, type ConsulPartOptions } from "../link/part.ts";
import { FollowedService } from "./followed-service.ts";
import { readNames } from "./names.ts";
import { ConsulRegistration } from "./registration.ts";

/** How a {@link consulRegistry} connects. */
export type ConsulRegistryOptions = ConsulPartOptions & {
  readonly logger?: Logger;
};

/** A service that is no longer requested is followed this much longer. */
const lingerMs = 60_000;
const sweepGapMs = 20;
/** How long a query waits when more services are followed than there are connections for it. */
const sharedWaitMs = 1_000;

/**
 * A registry in Consul (1.8 and later). A node is a service of the agent with a TTL check that its
 * process renews; a process that requests a service follows its nodes with a blocking query, so
 * `get` is served from memory. While Consul is unavailable, every process keeps the last known
 * state. Services are those of go-micro, so services written in Go can be discovered and can
 * discover these.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { consulRegistry } from "@micro-es/consul";
 * import { createService } from "@micro-es/runtime";
 *
 * const service = createService({
 *   name: "greeter",
 *   registry: consulRegistry({ address: "http://127.0.0.1:8500" }),
 * });
 * ```
 */
export function consulRegistry(options: ConsulRegistryOptions = {}): Registry {
  checkOptions("consulRegistry", options, { ...consulPartKinds, logger });
  return new ConsulRegistry(options);
}

class ConsulRegistry extends ConsulPart implements Registry {
  readonly name = "consul";
  readonly guarantees: RegistryGuarantees = {
    reach: "backend",
    consistency: "eventual",
    liveness: "lease",
  };
  readonly #logger: PartLogger;
  readonly #services = new Map<string, FollowedService>();
  readonly #registrations = new Map<string, ConsulRegistration>();
  readonly #closed: AbortController = sharedAbortController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now), sweepGapMs);

  constructor({ logger, ...options }: ConsulRegistryOptions) {
    super(options, "registry");
    this.#logger = new PartLogger(logger, silentLogger);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const ttlMs = checkRegisterOptions(node, options);
    const what = `register ${valid.id}`;
    this.check(what, options.signal);
    const onClose = () => {
      if (this.#registrations.get(valid.id) === registration) this.#registrations.delete(valid.id);
    };
    const place = {
      link: this.link,
      logger: this.#logger,
      reader: () => {
        const followed = this.#services.get(valid.service);
        return followed === undefined ? undefined : followed.accept.bind(followed);
      },
    };
    const registration = new ConsulRegistration(valid, ttlMs, place, onClose, options.onTakenOver);
    const before = this.#registrations.get(valid.id)?.replaced();
    this.#registrations.set(valid.id, registration);
    try {
      await untilAborted(registration.begin(before ?? Promise.resolve()), options.signal);
      this.check(what, options.signal);
    } catch (error) {
      const closing = registration.close();
      // An abort is reported at once. Closing waits for Consul, and logs its own failure.
      if (options.signal?.aborted !== true) {
        await closing;
        this.check(what, undefined);
      }
      throw consulFailure(error, what);
    }
    return registration;
  }

  async get(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    const what = `get ${service}`;
    checkReadOptions(what, options);
    validateServiceName(service);
    this.check(what, options.signal);
    const followed = this.#follow(service);
    await untilAborted(followed.known(), options.signal);
    this.check(what, options.signal);
    return followed.nodes.list();
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    const what = "list services";
    checkReadOptions(what, options);
    this.check(what, options.signal);
    const { signal } = options;
    const names = await untilAborted(readNames(this.link, what, signal), signal);
    this.check(what, signal);
    return names.filter(isServiceName).sort();
  }

  watch(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        if (signals.some((signal) => signal?.aborted === true)) {
          // Ended already, so the service need not be followed.
          return new WatchedNodes().watch({ signals })[Symbol.asyncIterator]();
        }
        const followed = this.#follow(service);
        const onBegin = () => followed.eventuallyKnown(this.#closed.signal);
        return followed.nodes.watch({ signals, onBegin })[Symbol.asyncIterator]();
      },
    };
  }

  protected override async end(): Promise<void> {
    this.#closed.abort();
    this.#sweep.close();
    await closeInOrder(
      () => Promise.all([...this.#registrations.values()].map((each) => each.close())),
      async () => {
        const services = [...this.#services.values()];
        this.#services.clear();
        await Promise.all(services.map((each) => each.close()));
      },
    );
  }

  #follow(service: string): FollowedService {
    let followed = this.#services.get(service);
    if (followed === undefined) {
      followed = new FollowedService(
        this.link,
        service,
        this.#logger,
        () => (this.#services.size > maxWaits ? sharedWaitMs : this.link.waitMs),
        (until) => this.#wake(until),
      );
      this.#services.set(service, followed);
    }
    followed.usedAt = performance.now();
    this.#wake(followed.usedAt + lingerMs);
    return followed;
  }

  #wake(at: Deadline): void {
    if (!this.#closed.signal.aborted) this.#sweep.watch(at);
  }

  #expire(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const [service, followed] of this.#services) {
      next = Math.min(next, followed.expire(now));
      if (followed.nodes.watchers > 0) continue;
      const forgetAt = followed.usedAt + lingerMs;
      if (forgetAt > now) {
        next = Math.min(next, forgetAt);
        continue;
      }
      this.#services.delete(service);
      void followed.close();
    }
    return next;
  }
}
