import { randomUUID } from "node:crypto";
import { asMicroError, type Logger, MicroError, type Node } from "@micro-es/runtime";
import { backoffMs, Closable, type Registration, untilAborted } from "@micro-es/runtime/driver";
import { isObject, parse } from "../link/json.ts";
import type { ConsulLink } from "../link/link.ts";
import { type Reading, readService } from "./reading.ts";
import { checkIdOf, encodeRegistration, serviceIdOf } from "./record.ts";

/** Spreads the renewals of all nodes after a reconnection. */
const reconnectSpreadMs = 500;
const retry = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** How long one query waits for the catalog to list a node. */
const catalogWaitMs = 1_000;

/** Where a registration is stored, and what it depends on. */
export interface RegistrationPlace {
  readonly link: ConsulLink;
  readonly logger: Logger;
  /** Takes each reading of the node's service; undefined while nothing in this process needs it. */
  readonly reader: () => ((reading: Reading) => void) | undefined;
}

/**
 * A node as a service of the agent, with a check of its own that is renewed at each third of the
 * ttl. A registration of the id by another process replaces the check, so the next renewal fails.
 */
export class ConsulRegistration extends Closable implements Registration {
  readonly node: Node;
  readonly #place: RegistrationPlace;
  readonly #serviceId: string;
  readonly #what: string;
  readonly #ttlMs: number;
  readonly #owner = randomUUID();
  readonly #checkPath: string;
  readonly #body: object;
  readonly #onClose: () => void;
  readonly #onTakenOver: (() => void) | undefined;
  readonly #closing = new AbortController();
  #renewedAt = Number.NEGATIVE_INFINITY;
  #takenOver = false;
  #isReplaced = false;
  #failures = 0;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  /** The next renewal came due while one was in progress. */
  #isDue = false;
  #timer: NodeJS.Timeout | undefined;
  #forgetReconnect: (() => void) | undefined;

  constructor(
    node: Node,
    ttlMs: number,
    place: RegistrationPlace,
    onClose: () => void,
    onTakenOver: (() => void) | undefined,
  ) {
    super();
    this.node = node;
    this.#place = place;
    this.#serviceId = serviceIdOf(node.id);
    this.#what = `register ${node.id}`;
    this.#ttlMs = ttlMs;
    this.#checkPath = `agent/check/pass/${encodeURIComponent(checkIdOf(node.id, this.#owner))}`;
    this.#body = encodeRegistration({ node, ttlMs, owner: this.#owner });
    this.#onClose = onClose;
    this.#onTakenOver = onTakenOver;
  }

  get active(): boolean {
    return !this.#ended && performance.now() - this.#renewedAt < this.#ttlMs;
  }

  /**
   * Publishes the node, replacing any previous owner of its id. Stops when the registration is
   * closed.
   * @param before what must be over first: requests of a previous registration of the id.
   */
  begin(before: Promise<void>): Promise<void> {
    const beginning = this.#begin(before);
    // Closing waits for it, so that it deregisters what is being registered.
    this.#working = beginning.catch(() => {});
    return beginning;
  }

  /** Another registration of this process has taken the id. Resolves when no request is left. */
  async replaced(): Promise<void> {
    this.#takenOver = true;
    this.#isReplaced = true;
    this.#stop();
    this.#closing.abort();
    await this.#working;
  }

  protected override async closeOnce(): Promise<void> {
    this.#stop();
    this.#closing.abort();
    await this.#working;
    await this.#deregister();
    this.#onClose();
  }

  get #ended(): boolean {
    return this.#takenOver || this.isClosing;
  }

  async #begin(before: Promise<void>): Promise<void> {
    await before;
    try {
      await this.#publish(this.#closing.signal);
    } catch (error) {
      // Its wait was ended by the registration that replaces it.
      if (!this.#isReplaced) throw error;
    }
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { link } = this.#place;
    await untilAborted(link.open(), signal);
    if (this.#ended) return;
    await this.#put();
    if (this.#ended) return;
    this.#forgetReconnect = link.onReconnect(() =>
      this.#renewSoon(Math.random() * Math.min(reconnectSpreadMs, this.#ttlMs / 3)),
    );
    this.#renewSoon(this.#ttlMs / 3);
    await this.#untilListed(signal);
  }

  /** Not cancelled: a registration that arrives after the deregistration would stay. */
  async #put(): Promise<void> {
    const asked = performance.now();
    await this.#place.link.call(
      {
        method: "PUT",
        path: "agent/service/register",
        // Without the check of a previous owner, who learns from that.
        query: { "replace-existing-checks": "true" },
        body: this.#body,
      },
      this.#what,
    );
    this.#renewedAt = asked;
  }

  /** The agent hands the node to its servers after it has responded. */
  async #untilListed(signal: AbortSignal): Promise<void> {
    const { link, reader } = this.#place;
    const { service } = this.node;
    const until = performance.now() + link.timeoutMs;
    for (let after = 0; ; ) {
      const take = reader();
      const id = take === undefined ? { id: this.#serviceId } : {};
      const leftMs = until - performance.now();
      const waitMs = Math.max(Math.min(leftMs, catalogWaitMs), 1);
      const reading = await readService(link, service, {
        after,
        waitMs,
        isLocal: true,
        signal,
        ...id,
      });
      if (link.datacenter === undefined) take?.(reading);
      if (reading.instances.some(({ service }) => service.meta.micro_owner === this.#owner)) return;
      if (this.#ended) return;
      after = reading.index;
      if (leftMs > 0) continue;
      throw new MicroError(
        "unavailable",
        `cannot ${this.#what}: its agent did not hand it to Consul's servers within ${link.timeoutMs} ms, or the token may not read it (service and node)`,
      );
    }
  }

  #lose(): void {
    if (this.#ended) return;
    this.#takenOver = true;
    this.#stop();
    this.#place.logger.warn(
      { node: this.node.id },
      "another process has registered this node's id",
    );
    this.#onTakenOver?.();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#forgetReconnect?.();
  }

  #renewSoon(delayMs: number): void {
    if (this.#ended) return;
    if (this.#isWorking) {
      this.#isDue = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isWorking = true;
      const before = this.#working;
      const renewing = this.#renew().then((nextMs) => {
        this.#isWorking = false;
        this.#renewSoon(this.#isDue ? 0 : nextMs);
        this.#isDue = false;
      });
      this.#working = Promise.all([before, renewing]).then(() => {});
    }, delayMs);
    this.#timer.unref();
  }

  /** @returns when to renew next, in milliseconds. */
  async #renew(): Promise<number> {
    try {
      if (!(await this.#pass())) await this.#registerAgain();
      if (this.#failures > 0 && !this.#ended) {
        this.#place.logger.info({ node: this.node.id }, "the registration is renewed again");
      }
      this.#failures = 0;
      return this.#ttlMs / 3;
    } catch (error) {
      if (this.#ended) return 0;
      if (++this.#failures === 1) {
        this.#place.logger.warn(
          { node: this.node.id, error: asMicroError(error) },
          "could not renew a registration; trying again",
        );
      }
      return backoffMs(retry, this.#failures, Math.random);
    }
  }

  /** Renews the check; false when the agent has none of ours. */
  async #pass(): Promise<boolean> {
    const asked = performance.now();
    const { status } = await this.#place.link.call(
      { method: "PUT", path: this.#checkPath, accepts: isUnknownCheck },
      `renew ${this.node.id}`,
      this.#closing.signal,
    );
    if (status !== 200) return false;
    this.#renewedAt = asked;
    return true;
  }

  /**
   * Registers again unless another owner has the id. Consul cannot do both in one step, so an owner
   * that registers in between is replaced; it finds its check gone.
   */
  async #registerAgain(): Promise<void> {
    const owner = await this.#findOwner(this.#closing.signal);
    if (this.#ended) return;
    if (owner === undefined || owner === this.#owner) await this.#put();
    else this.#lose();
  }

  /** The owner of the id at this agent; undefined if it is free. */
  async #findOwner(signal?: AbortSignal): Promise<string | undefined> {
    const { status, text } = await this.#place.link.call(
      {
        path: `agent/service/${encodeURIComponent(this.#serviceId)}`,
        accepts: (status) => status === 404,
      },
      `find the owner of ${this.node.id}`,
      signal,
    );
    if (status === 404) return undefined;
    const service = parse(text);
    const meta = isObject(service) && isObject(service.Meta) ? service.Meta : {};
    return typeof meta.micro_owner === "string" ? meta.micro_owner : "";
  }

  async #deregister(): Promise<void> {
    const { link, logger } = this.#place;
    if (this.#isReplaced || !link.connected) return;
    try {
      if ((await this.#findOwner()) !== this.#owner || this.#isReplaced) return;
      await link.call(
        {
          method: "PUT",
          path: `agent/service/deregister/${encodeURIComponent(this.#serviceId)}`,
          accepts: (status) => status === 404,
        },
        `deregister ${this.node.id}`,
      );
    } catch (error) {
      logger.warn(
        { node: this.node.id, error: asMicroError(error) },
        "could not deregister; the ttl will",
      );
    }
  }
}

/** Consul 1.8 responds 500 to the renewal of a check that it does not have, later versions 404. */
function isUnknownCheck(status: number, text: string): boolean {
  return (
    status === 404 || (status === 500 && /does not have associated TTL|unknown check/i.test(text))
  );
}
