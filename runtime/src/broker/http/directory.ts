import { asMicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { Node, Registry, RegistryEvent } from "../../registry/registry.ts";
import { brokerService, readNode, type Target } from "./subscriber-node.ts";

/** Delay before restarting a watch that ended, in milliseconds. */
const rewatchDelayMs = 1_000;

/** The subscriptions of all HTTP brokers, kept current by one open watch on the registry. */
export class Directory {
  readonly #registry: Registry;
  readonly #logger: Logger;
  readonly #closed = new AbortController();
  readonly #topics = new Map<string, Map<string, Target>>();
  /** By id: the topic of a subscription. */
  readonly #topicOf = new Map<string, string>();
  readonly #refused = new Set<string>();
  /** Changes with each change of the subscriptions. */
  version = 0;
  #running: Promise<void> | undefined = undefined;
  #onSnapshot: () => void = () => {};
  readonly #snapshot: Promise<void>;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(registry: Registry, logger: Logger) {
    this.#registry = registry;
    this.#logger = logger;
    this.#snapshot = new Promise((resolve) => {
      this.#onSnapshot = resolve;
    });
  }

  /**
   * Starts the watch on the first call; resolves once the registry has reported the existing
   * subscriptions.
   */
  known(): Promise<void> {
    this.#running ??= this.#watch();
    return this.#snapshot;
  }

  /** The subscriptions to a topic. */
  of(topic: string): Iterable<Target> {
    return this.#topics.get(topic)?.values() ?? [];
  }

  async close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  async #watch(): Promise<void> {
    const signal = this.#closed.signal;
    try {
      for await (const event of this.#registry.watch(brokerService, { signal })) this.#apply(event);
    } catch (error) {
      if (signal.aborted) return;
      this.#logger.warn(
        { registry: this.#registry.name, error },
        "the watch on subscribers failed",
      );
    }
    if (signal.aborted) return;
    // A watch ends only with its registry, so this handles a registry that breaks that contract.
    this.#timer = setTimeout(() => {
      this.#running = this.#watch();
    }, rewatchDelayMs);
    this.#timer.unref();
  }

  #apply(event: RegistryEvent): void {
    this.version++;
    if (event.type === "snapshot") {
      this.#topics.clear();
      this.#topicOf.clear();
      this.#refused.clear();
      for (const node of event.nodes) this.#put(node);
      this.#onSnapshot();
      return;
    }
    this.#remove(event.node.id);
    if (event.type !== "removed") this.#put(event.node);
  }

  #put(node: Node): void {
    const target = read(node);
    if (typeof target === "string") {
      if (this.#refused.size < 1024 && !this.#refused.has(node.id)) {
        this.#refused.add(node.id);
        this.#logger.warn({ node: node.id, reason: target }, "a subscriber is left out");
      }
      return;
    }
    let targets = this.#topics.get(target.topic);
    if (targets === undefined) {
      targets = new Map();
      this.#topics.set(target.topic, targets);
    }
    targets.set(target.id, target);
    this.#topicOf.set(target.id, target.topic);
  }

  #remove(id: string): void {
    this.#refused.delete(id);
    const topic = this.#topicOf.get(id);
    if (topic === undefined) return;
    this.#topicOf.delete(id);
    const targets = this.#topics.get(topic);
    targets?.delete(id);
    if (targets?.size === 0) this.#topics.delete(topic);
  }
}

function read(node: Node): Target | string {
  try {
    return readNode(node);
  } catch (error) {
    return asMicroError(error).message;
  }
}
