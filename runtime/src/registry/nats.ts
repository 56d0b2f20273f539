import { type Deadline, DeadlineSweep } from "../deadline.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { type BucketEntry, NatsBucket } from "../nats/bucket.ts";
import { BucketWatch } from "../nats/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../nats/driver.ts";
import { natsFailure } from "../nats/failure.ts";
import { closingController } from "./closing.ts";
import { BucketRegistration } from "./nats/bucket-registration.ts";
import { FollowedService } from "./nats/followed-service.ts";
import { decodeRecord } from "./nats/record.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "./registry.ts";
import { untilAborted } from "./until-aborted.ts";
import { validateNode, validateServiceName, validateTtl } from "./validate.ts";

/** Where a {@link natsRegistry} keeps its nodes. */
export type NatsRegistryOptions = NatsDriverOptions & {
  /** The key-value bucket; another one is a fleet of its own. Made when it is not there. Default `micro-registry`. */
  readonly bucket?: string;
  /** Copies of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
  readonly logger?: Logger;
};

/** Entries that nobody renews any more leave the bucket after this time. */
const maxAgeMs = 60 * 60_000;
/** A service that nobody asks for is followed this much longer. */
const lingerMs = 60_000;
/** A sweep later than this means that the process stood still. */
const stallMs = 1_000;
const sweepGapMs = 20;

/**
 * A registry in a NATS key-value bucket, for servers with JetStream. A node is an entry that is written again at
 * each third of its ttl; who follows a service forgets nodes that are not. While the server is away, everybody
 * keeps what was known, and for a ttl after it is back.
 */
export function natsRegistry(options: NatsRegistryOptions = {}): Registry {
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
  readonly #logger: Logger;
  readonly #services = new Map<string, FollowedService>();
  readonly #registrations = new Map<string, BucketRegistration>();
  readonly #closed: AbortController = closingController();
  readonly #sweep: DeadlineSweep = new DeadlineSweep((now) => this.#expire(now), sweepGapMs);
  #dueAt: Deadline = Number.POSITIVE_INFINITY;

  constructor(options: NatsRegistryOptions) {
    super(options, "registry");
    this.#bucket = new NatsBucket(this.link, options.bucket ?? "micro-registry", {
      maxAgeMs,
      replicas: options.replicas ?? 1,
    });
    this.#logger = options.logger ?? silentLogger;
  }

  async register(node: Node, options: RegisterOptions = {}): Promise<Registration> {
    const valid = validateNode(node);
    const ttlMs = validateTtl(options.ttlMs);
    this.check(`register ${valid.id}`, options.signal);
    const registration = new BucketRegistration(valid, ttlMs, this.#bucket, this.#logger, () => {
      if (this.#registrations.get(valid.id) === registration) this.#registrations.delete(valid.id);
    });
    this.#registrations.get(valid.id)?.replaced();
    this.#registrations.set(valid.id, registration);
    try {
      await untilAborted(registration.begin(), options.signal);
    } catch (error) {
      await registration.close();
      throw natsFailure(error, `register ${valid.id}`);
    }
    return registration;
  }

  async get(
    service: string,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly Node[]> {
    validateServiceName(service);
    this.check(`get ${service}`, options.signal);
    const followed = this.#follow(service);
    await untilAborted(followed.known(), options.signal);
    this.check(`get ${service}`, options.signal);
    return followed.nodes.list();
  }

  async list(options: { readonly signal?: AbortSignal } = {}): Promise<readonly string[]> {
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
    validateServiceName(service);
    const signals = [this.#closed.signal, options.signal];
    return {
      [Symbol.asyncIterator]: () => {
        if (signals.some((signal) => signal?.aborted === true)) return ended();
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
    // A record that nobody could use makes no service.
  }
}

function ended(): AsyncIterator<RegistryEvent> {
  return { next: async () => ({ done: true, value: undefined }) };
}
