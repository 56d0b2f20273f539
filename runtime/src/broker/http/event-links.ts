import { asMicroError } from "../../base/error.ts";
import { resolveLimits } from "../../transport/limits.ts";
import { ClientConnection } from "../../transport/native/client-connection.ts";
import type { EventRecord } from "../event.ts";
import { eventBytes, maxBatchBytes, maxBatchHeadBytes } from "./event-batch.ts";
import { EventLink, type EventLinkOwner, type LinkDelivery } from "./event-link.ts";
import type { Sender } from "./sender.ts";
import type { Target } from "./subscriber-node.ts";

/** Maximum number of connections; events for further subscribers are posted over HTTP. */
const maxLinks = 256;
/** How long a process that did not change to the native protocol gets its events over HTTP. */
const httpOnlyMs = 60_000;
const maxHttpOnly = 4_096;

/** The connections over which events are delivered natively, one to each process. */
export class EventLinks implements EventLinkOwner {
  readonly timeoutMs: number;
  readonly idleMs = 30_000;
  readonly #sender: Sender;
  readonly #links = new Set<EventLink>();
  /** The link to each address that accepts events. */
  readonly #current = new Map<string, EventLink>();
  /** By address: until when events are posted over HTTP. */
  readonly #httpOnly = new Map<string, number>();
  /** Connections whose handshake is in progress. */
  readonly #connecting = new Set<ClientConnection>();
  #closed = false;

  constructor(sender: Sender, timeoutMs: number) {
    this.#sender = sender;
    this.timeoutMs = timeoutMs;
  }

  /** Sends an event, or returns false if it is to be posted over HTTP. */
  send(delivery: LinkDelivery): boolean {
    const { target, record } = delivery;
    if (record.body.length > maxBatchBytes / 2 && !fits(record)) return false;
    const link = this.#linkTo(target);
    if (link === undefined) return false;
    link.send(delivery);
    return true;
  }

  resend(delivery: LinkDelivery): void {
    if (!this.send(delivery)) delivery.post(delivery.resentUntil);
  }

  ended(link: EventLink): void {
    this.#links.delete(link);
    this.retired(link);
  }

  retired(link: EventLink): void {
    if (this.#current.get(link.address) === link) this.#current.delete(link.address);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#links, ...this.#connecting].map((each) => each.close()));
  }

  #linkTo(target: Target): EventLink | undefined {
    const { address } = target;
    const present = this.#current.get(address);
    if (present?.isOpen === true) return present;
    if (this.#closed || this.#links.size >= maxLinks || this.#isHttpOnly(address)) return undefined;
    const link = new EventLink(address, this);
    this.#links.add(link);
    this.#current.set(address, link);
    void this.#connect(link, target);
    return link;
  }

  async #connect(link: EventLink, target: Target): Promise<void> {
    let connection: ClientConnection;
    try {
      const upgraded = await this.#sender.upgrade(target);
      if (typeof upgraded === "number") {
        // With 404 the process speaks the protocol, and the subscription has been closed.
        if (upgraded !== 404) this.useHttp(target.address);
        link.post();
        return;
      }
      const { socket, head } = upgraded;
      if (this.#closed || !link.isOpen) {
        socket.destroy();
        return;
      }
      if (head.length > 0) socket.unshift(head);
      const limits = resolveLimits({
        maxMessageBytes: maxBatchBytes,
        handshakeTimeoutMs: this.timeoutMs,
      });
      connection = new ClientConnection(socket, target.address, limits);
    } catch (reason) {
      link.failed(asMicroError(reason, "unavailable"));
      return;
    }
    this.#connecting.add(connection);
    try {
      connection.greet();
      await connection.ready;
      if (link.isOpen) link.connected(connection);
      else await connection.close();
    } catch {
      // It has changed to the native protocol, and does not speak it.
      this.useHttp(target.address);
      link.post();
    } finally {
      this.#connecting.delete(connection);
    }
  }

  useHttp(address: string): void {
    if (this.#httpOnly.size >= maxHttpOnly) this.#httpOnly.clear();
    this.#httpOnly.set(address, performance.now() + httpOnlyMs);
  }

  #isHttpOnly(address: string): boolean {
    if (this.#httpOnly.size === 0) return false;
    const until = this.#httpOnly.get(address);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.#httpOnly.delete(address);
    return false;
  }
}

/** Whether an event fits into a batch, whatever its topic and subscriber. */
function fits(record: EventRecord): boolean {
  return eventBytes(record) + maxBatchHeadBytes <= maxBatchBytes;
}
