import { randomBytes, randomUUID } from "node:crypto";
import type { MicroError } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  type MessageCarrier,
  MessageSocket,
  pauseUntilAborted,
  resetMessage,
  sharedAbortController,
  untilAborted,
} from "@micro-es/runtime/driver";
import type { Channel, ConsumeMessage, Message } from "amqplib";
import { unavailable } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";
import { KeptConsumer } from "./kept-consumer.ts";

/*
 * A process receives the messages of all its sockets from one queue, its inbox. The property
 * correlation-id is the id of a socket there, and reply-to that of the sender: the name of its
 * inbox, "/" and its id. The property type is `dial` in a message to a listener, and `accept` in
 * the response; other messages are those of a MessageSocket.
 */

/** The beginning of the names of all queues of the transport. */
export const queuePrefix = "micro.calls=";
export const dialType = "dial";
const acceptType = "accept";
/** How long a message waits in a queue, in milliseconds. It is sent again long before. */
const expirationMs = 10_000;
/** Waits before a channel is opened again that could not be. */
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.3 };
const peerPattern = /^micro\.calls=[A-Za-z0-9._-]{1,200}\/[A-Za-z0-9_-]{1,32}$/;

const inboxes = new WeakMap<RabbitMqLink, Inbox>();

/** The peer that sent a message; undefined if it has no valid name. */
export function senderOf({ properties }: Message): string | undefined {
  const { replyTo } = properties;
  return typeof replyTo === "string" && peerPattern.test(replyTo) ? replyTo : undefined;
}

/** Receives and sends the messages of all sockets of a link. */
export class Inbox {
  readonly #link: RabbitMqLink;
  readonly #sockets = new Map<string, MessageSocket>();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #closing: AbortController = sharedAbortController();
  #queue = "";
  #consumer: KeptConsumer | undefined;
  #consuming: Promise<void> | undefined;
  #out: Channel | undefined;
  #opening: Promise<void> | undefined;

  private constructor(link: RabbitMqLink) {
    this.#link = link;
    link.atClose(() => this.#close());
  }

  /** The inbox of all transports on a link. */
  static of(link: RabbitMqLink): Inbox {
    const inbox = inboxes.get(link) ?? new Inbox(link);
    inboxes.set(link, inbox);
    return inbox;
  }

  /** Waits until messages can be sent and received. @throws MicroError if that fails. */
  async open(what: string, signal?: AbortSignal): Promise<void> {
    await untilAborted(this.#openBoth(what), signal);
  }

  /** Adds a socket. @param peer the other side, if it has dialled. */
  socket(peer?: string): { readonly id: string; readonly socket: MessageSocket } {
    // No other process can guess it, so only its peer sends to it.
    const id = randomBytes(12).toString("base64url");
    const inbox = this;
    const carrier: MessageCarrier = {
      get connected() {
        return inbox.#isConnected;
      },
      send: (to: string, message: Uint8Array) => this.#send(to, id, message),
      onReconnect: (listener: () => void) => {
        this.#reconnectListeners.add(listener);
        return () => this.#reconnectListeners.delete(listener);
      },
      close: () => void this.#sockets.delete(id),
    };
    const socket = new MessageSocket(carrier, peer);
    this.#sockets.set(id, socket);
    return { id, socket };
  }

  /** Asks a listener for a connection to a socket. */
  dial(queue: string, id: string): void {
    this.#publish(queue, "", id, new Uint8Array(), dialType);
  }

  /** Tells the peer of a socket that it is accepted. */
  accept(peer: string, id: string): void {
    this.#send(peer, id, new Uint8Array(), acceptType);
  }

  get #isConnected(): boolean {
    return this.#out !== undefined && this.#link.publishing.blocked === undefined;
  }

  async #openBoth(what: string): Promise<void> {
    this.#consuming ??= this.#consume(what);
    const consuming = this.#consuming;
    try {
      await consuming;
    } catch (error) {
      if (this.#consuming === consuming) this.#consuming = undefined;
      throw error;
    }
    // It fails while the connection is lost.
    await this.#link.consuming.open();
    await this.#openOut(what);
  }

  async #consume(what: string): Promise<void> {
    const queue = `${queuePrefix}${randomUUID()}`;
    const consumer = new KeptConsumer({
      link: this.#link,
      queue,
      isShared: false,
      take: (message) => this.#take(message),
      restored: () => this.#tell(),
      failed: (failure) => this.#giveUp(failure),
    });
    await consumer.begin(what);
    this.#consumer = consumer;
    this.#queue = queue;
  }

  /** Whether the queue is lost, because its node is: then a new one takes its place. */
  #giveUp(failure: MicroError): boolean {
    if (!/home node/.test(failure.message)) return false;
    this.#consuming = undefined;
    this.#endSockets("the server that had the queue of this process is gone");
    return true;
  }

  #openOut(what: string): Promise<void> {
    if (this.#out !== undefined) return Promise.resolve();
    this.#opening ??= this.#makeOut(what).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #makeOut(what: string): Promise<void> {
    const model = await this.#link.publishing.open();
    const channel = await this.#link.channel(model.createChannel(), what);
    channel.on("return", (message) => this.#absent(message));
    channel.on("close", () => {
      if (this.#out !== channel) return;
      this.#out = undefined;
      void this.#restore();
    });
    if (this.#link.publishing.model !== model) {
      throw unavailable(`cannot ${what}: the connection to RabbitMQ was lost`);
    }
    this.#out = channel;
    this.#tell();
  }

  async #restore(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; this.#out === undefined; failures++) {
      if (failures > 0) {
        await pauseUntilAborted(backoffMs(backoff, failures, Math.random), signal);
      }
      await this.#link.publishing.untilConnected(signal);
      if (signal.aborted) return;
      // The link shows why there is no connection.
      await this.#openOut("send calls").catch(() => {});
    }
  }

  #tell(): void {
    if (!this.#isConnected) return;
    for (const listener of [...this.#reconnectListeners]) listener();
  }

  #take(message: ConsumeMessage): void {
    const { content, properties } = message;
    const id = String(properties.correlationId);
    const socket = this.#sockets.get(id);
    const peer = senderOf(message);
    if (socket === undefined) {
      // A reset has no response, so that two processes do not go on for ever.
      const isReset = content[0] === resetMessage[0];
      if (peer !== undefined && !isReset) this.#send(peer, "-", resetMessage);
    } else if (properties.type === acceptType) {
      if (peer !== undefined) socket.accepted(peer);
    } else socket.receive(content);
  }

  /** No queue took a message. */
  #absent({ properties }: Message): void {
    const from = String(properties.replyTo);
    this.#sockets.get(from.slice(from.lastIndexOf("/") + 1))?.absent();
  }

  #send(peer: string, from: string, content: Uint8Array, kind?: string): void {
    const end = peer.lastIndexOf("/");
    this.#publish(peer.slice(0, end), peer.slice(end + 1), from, content, kind);
  }

  #publish(queue: string, to: string, from: string, content: Uint8Array, kind?: string): void {
    try {
      this.#out?.publish(
        "",
        queue,
        Buffer.from(content.buffer, content.byteOffset, content.length),
        {
          correlationId: to,
          replyTo: `${this.#queue}/${from}`,
          ...(kind === undefined ? {} : { type: kind }),
          mandatory: true,
          deliveryMode: 1,
          expiration: expirationMs,
        },
      );
    } catch {
      // The channel is ending, and reports that itself; the socket sends lost messages again.
    }
  }

  #endSockets(why: string): void {
    for (const socket of [...this.#sockets.values()]) socket.destroy(new Error(why));
  }

  async #close(): Promise<void> {
    this.#closing.abort(unavailable("the connection to RabbitMQ is closed"));
    this.#endSockets("the connection to RabbitMQ is closed");
    await this.#consumer?.close();
  }
}
