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
  DeadlineSweep,
  logger,
  PartLogger,
  type RegisterOptions,
  type Registration,
  type RegistryGuarantees,
  sharedAbortController,
  text,
  untilAborted,
  validateNode,
  validateServiceName,
  WatchedNodes,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { BucketWatch } from "../link/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { natsFailure } from "../link/failure.ts";
import { natsDriverKinds, replicas } from "../link/option-kinds.ts";
import { BucketRegistration } from "./bucket-registration.ts";
import { FollowedService } from "./followed-service.ts";
import { decodeRecord } from "./record.ts";

/** Where a {@link natsRegistry} keeps its nodes. */
export type NatsRegistryOptions = NatsDriverOptions & {
  /**
   * The key-value bucket, created if it does not exist; a different bucket is a separate fleet.
   * Default `micro-registry`.
   */
  readonly bucket?: string;
  /** Replicas of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
  readonly logger?: Logger;
};

/** Entries that are no longer renewed leave the bucket after this time. */
const maxAgeMs = 60 * 60_000;
/** A service that is no longer requested is followed this much longer. */
const lingerMs = 60_000;
/** A sweep later than this means that the process was suspended. */
const stallMs = 1_000;
const sweepGapMs = 20;

/**
 * A registry in a NATS key-value bucket, for servers with JetStream. A node is an entry that is
 * rewritten at each third of its ttl; processes that follow a service remove nodes that are not
 * renewed. While the server is unreachable, every process keeps the last known state, and for a ttl
 * after it is back.
 *
 * @example
 * ```ts
 * import { natsRegistry } from "@micro-es/nats";
 * import { createClient } from "@micro-es/runtime";
 *
 * const client = createClient({ registry: natsRegistry({ servers: "nats://127.0.0.1:4222" }) });
 * ```
 */
export function natsRegistry(options: NatsRegistryOptions = {}): Registry {
  checkOptions("natsRegistry", options, { ...natsDriverKinds, bucket: text, replicas, logger });
  return new BucketRegistry(options);
}

class BucketRegistry extends NatsDriver implements Registry {
  readonly name = "nats";
  readonly guarantees: RegistryGuarantees = {
    reach: "backend",
    consistency: "eventual",
    liveness: "lease",
  };
  readonly #bucket: NatsBucket;
  readonly #logger: PartLogger;
  readonly #services = new Map<string, FollowedService>();
  readonly #registrations = new Map<string, BucketRegistration>();
  readonly #closed: AbortController = sharedAbortController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now), sweepGapMs);
  #dueAt: Deadline = Number.POSITIVE_INFINITY;

  constructor(options: NatsRegistryOptions) {
    super(options, "registry");
    this.#bucket = new NatsBucket(this.link, options.bucket ?? "micro-registry", {
      maxAgeMs,
      replicas: options.replicas ?? 1,
    });
    this.#logger = new PartLogger(options.logger, silentLogger);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const ttlMs = checkRegisterOptions(node, options);
    this.check(`register ${valid.id}`, options.signal);
    const onClose = () => {
      if (this.#registrations.get(valid.id) === registration) this.#registrations.delete(valid.id);
    };
    const registration = new BucketRegistration(
      valid,
      ttlMs,
      this.#bucket,
      this.#logger,
      onClose,
      options.onTakenOver,
    );
    this.#registrations.get(valid.id)?.replaced();
    this.#registrations.set(valid.id, registration);
    const what = `register ${valid.id}`;
    try {
      await untilAborted(registration.begin(), options.signal);
      this.check(what, options.signal);
    } catch (error) {
      const closing = registration.close();
      // An abort is reported at once. Closing waits for the server, and logs its own failure.
      if (options.signal?.aborted !== true) await closing;
      throw natsFailure(error, what);
    }
    return registration;
  }

  async get(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    checkReadOptions(`get ${service}`, options);
    validateServiceName(service);
    this.check(`get ${service}`, options.signal);
    const followed = this.#follow(service);
    await untilAborted(followed.known(), options.signal);
    this.check(`get ${service}`, options.signal);
    return followed.nodes.list();
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    this.check("list services", options.signal);
    const names = new Set<string>();
    let watch: BucketWatch | undefined;
    const listed = new Promise<void>((resolve, reject) => {
      watch = new BucketWatch(this.#bucket, ">", {
        snapshot: (entries, serverTime) => {
          for (const entry of entries) addService(names, entry, serverTime);
          resolve();
        },
        change: () => {},
        failed: reject,
      });
    });
    try {
      await untilAborted(listed, options.signal);
    } finally {
      watch?.close();
    }
    return [...names].sort();
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
        return followed.nodes
          .watch({ signals, onBegin: () => followed.eventuallyKnown(this.#closed.signal) })
          [Symbol.asyncIterator]();
      },
    };
  }

  protected override async end(): Promise<void> {
    this.#closed.abort();
    this.#sweep.close();
    await Promise.all([...this.#registrations.values()].map((each) => each.close()));
    for (const followed of this.#services.values()) followed.close();
    this.#services.clear();
  }

  #follow(service: string): FollowedService {
    let followed = this.#services.get(service);
    if (followed === undefined) {
      followed = new FollowedService(service, this.#bucket, this.#logger, (at) => this.#wake(at));
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
    const stalled = now - this.#dueAt > stallMs;
    let next = Number.POSITIVE_INFINITY;
    for (const [service, followed] of this.#services) {
      next = Math.min(next, followed.expire(now, stalled));
      if (followed.nodes.watchers > 0) continue;
      const forgetAt = followed.usedAt + lingerMs;
      if (forgetAt <= now) {
        followed.close();
        this.#services.delete(service);
      } else {
        next = Math.min(next, forgetAt);
      }
    }
    this.#dueAt = next;
    return next;
  }
}

function addService(names: Set<string>, entry: BucketEntry, serverTime: number): void {
  if (entry.deleted) return;
  try {
    const { node, ttlMs } = decodeRecord(entry.key, entry.value);
    if (serverTime - entry.writtenAt < ttlMs) names.add(node.service);
  } catch {
    // An unusable record does not make a service.
  }
}
