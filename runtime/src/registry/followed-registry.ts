import { untilAborted } from "../base/abort.ts";
import type { BackendState, StateListener } from "../base/backend-state.ts";
import { type Deadline, DeadlineSweep } from "../base/deadline.ts";
import { ClosablePart } from "../base/linked-part.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { PartLogger } from "../base/part-logger.ts";
import { closeInOrder } from "../base/settle-all.ts";
import { sharedAbortController } from "../base/shared-abort-controller.ts";
import { FollowedNodes } from "./followed-nodes.ts";
import type { NodeBackend } from "./node-backend.ts";
import { checkReadOptions, checkRegisterOptions, type ReadOptions } from "./option-kinds.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "./registry.ts";
import type { RenewedRegistration } from "./renewed-registration.ts";
import { isServiceName, validateNode, validateServiceName } from "./validate.ts";
import { WatchedNodes } from "./watched-nodes.ts";

/** A service that is no longer requested is followed this much longer. */
const lingerMs = 60_000;
/** A sweep later than this means that the process was suspended. */
const stallMs = 1_000;
const sweepGapMs = 20;

const leaseGuarantees: RegistryGuarantees = {
  registers: true,
  reach: "backend",
  consistency: "eventual",
  liveness: "lease",
};

/**
 * A registry in a backend that can be watched. Each node is a record that its process renews. A
 * process that requests a service follows its records, so `get` is served from memory. While the
 * backend is unreachable, every process keeps the last known state.
 */
export class FollowedRegistry extends ClosablePart implements Registry {
  readonly guarantees: RegistryGuarantees;
  readonly #backend: NodeBackend;
  readonly #logger: PartLogger;
  readonly #services = new Map<string, FollowedNodes>();
  readonly #registrations = new Map<string, RenewedRegistration>();
  readonly #closed: AbortController = sharedAbortController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now), sweepGapMs);
  #dueAt: Deadline = Number.POSITIVE_INFINITY;

  constructor(backend: NodeBackend, logger: Logger | undefined) {
    super("registry");
    this.#backend = backend;
    this.guarantees = backend.guarantees ?? leaseGuarantees;
    this.#logger = new PartLogger(logger, silentLogger);
  }

  get name(): string {
    return this.#backend.name;
  }

  get state(): BackendState {
    return this.#backend.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#backend.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const ttlMs = checkRegisterOptions(node, options);
    const { signal, onTakenOver } = options;
    const what = `register ${valid.id}`;
    this.check(what, signal);
    const registration = this.#backend.registration({
      node: valid,
      ttlMs,
      logger: this.#logger,
      failure: this.#backend.failure,
      onClose: () => {
        if (this.#registrations.get(valid.id) !== registration) return;
        this.#registrations.delete(valid.id);
      },
      onTakenOver,
    });
    const before = this.#registrations.get(valid.id)?.replaced();
    this.#registrations.set(valid.id, registration);
    try {
      await untilAborted(registration.begin(before ?? Promise.resolve()), signal);
      this.check(what, signal);
    } catch (error) {
      const closing = registration.close();
      // An abort is reported at once. Closing waits for the backend, and logs its own failure.
      if (signal?.aborted !== true) {
        await closing;
        this.check(what, undefined);
      }
      throw this.#backend.failure(error, what);
    }
    return registration;
  }

  async get(service: string, options: ReadOptions = {}): Promise<readonly Node[]> {
    const what = `get ${service}`;
    checkReadOptions(what, options);
    validateServiceName(service);
    this.check(what, options.signal);
    const followed = this.#follow(service);
    await untilAborted(followed.known(), options.signal);
    this.check(what, options.signal);
    return followed.nodes.list();
  }

  async list(options: ReadOptions = {}): Promise<readonly string[]> {
    const what = "list services";
    checkReadOptions(what, options);
    const { signal } = options;
    this.check(what, signal);
    const names = await untilAborted(this.#backend.names(what, signal), signal);
    this.check(what, signal);
    return [...new Set(names)].filter(isServiceName).sort();
  }

  watch(service: string, options: ReadOptions = {}): AsyncIterable<RegistryEvent> {
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

  protected override async closeOnce(): Promise<void> {
    this.#closed.abort();
    this.#sweep.close();
    await closeInOrder(
      () => Promise.all([...this.#registrations.values()].map((each) => each.close())),
      async () => {
        const services = [...this.#services.values()];
        this.#services.clear();
        await Promise.all(services.map((each) => each.close()));
      },
      () => this.#backend.close(),
    );
  }

  #follow(service: string): FollowedNodes {
    let followed = this.#services.get(service);
    if (followed === undefined) {
      followed = new FollowedNodes(this.#backend, service, this.#logger, (at) => this.#wake(at));
      this.#services.set(service, followed);
    }
    followed.usedAt = performance.now();
    this.#wake(followed.usedAt + lingerMs);
    return followed;
  }

  #wake(at: Deadline): void {
    if (this.#closed.signal.aborted) return;
    this.#dueAt = Math.min(this.#dueAt, at);
    this.#sweep.watch(at);
  }

  #expire(now: Deadline): Deadline {
    const isLate = now - this.#dueAt > stallMs;
    let next = Number.POSITIVE_INFINITY;
    for (const [service, followed] of this.#services) {
      next = Math.min(next, followed.expire(now, isLate));
      if (followed.nodes.watchers > 0) continue;
      const forgetAt = followed.usedAt + lingerMs;
      if (forgetAt > now) {
        next = Math.min(next, forgetAt);
        continue;
      }
      this.#services.delete(service);
      void followed.close();
    }
    this.#dueAt = next;
    return next;
  }
}
