import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from "nats";
import type { NatsLink } from "../../link/link.ts";
import { hasTooManyHeaderLines } from "../header-lines.ts";
import { Responses } from "./responses.ts";

/** A message that JetStream delivered and waits to have acknowledged. */
export interface PulledMessage {
  readonly message: Msg;
  /** Where it wants to be acknowledged, and by which responses. */
  readonly reply: string;
  readonly responses: Responses;
  /** 1 at the first delivery to the consumer. */
  readonly deliveries: number;
  readonly sequence: number;
  /** When the stream stored it, in nanoseconds since 1970. */
  readonly storedAt: string;
}

/** The consumer that a {@link PullLoop} serves. */
export interface PullLoopHost {
  /** The most messages that may be requested or held at the moment. */
  readonly capacity: number;
  /** The number of messages that can be handled now, including those already requested. */
  room(): number;
  take(pulled: PulledMessage): void;
  /** Called when the consumer may be gone; resolves when it exists (again). */
  restore(): Promise<void>;
}

/**
 * One request for messages. Each has an inbox of its own, so that the end of one is not taken for
 * that of another.
 */
interface PullRequest {
  readonly subscription: Subscription;
  /** Messages that were requested and have not arrived yet. */
  outstanding: number;
}

const expiresMs = 20_000;
/**
 * The server sends a heartbeat at this interval, and at the same time drops requests without a
 * listener.
 */
const heartbeatMs = 3_000;
const shortestHeartbeatMs = 100;
/** A pull that receives nothing for this long is replaced. */
const silenceMs = 3 * heartbeatMs;
const retryMs = 250;

/**
 * Pulls messages of one consumer, as many as there is room for, and continues after every loss of
 * the connection.
 */
export class PullLoop {
  readonly #link: NatsLink;
  readonly #subject: string;
  readonly #host: PullLoopHost;
  readonly #requestHeartbeatMs: number;
  readonly #watchdog: NodeJS.Timeout;
  readonly #forgetReconnect: () => void;
  readonly #requests = new Set<PullRequest>();
  #connection: NatsConnection | undefined;
  #responses: Responses | undefined;
  #heardAt = 0;
  #retry: NodeJS.Timeout | undefined;
  #waking = false;
  #restoring = false;
  #closed = false;

  constructor(
    link: NatsLink,
    stream: string,
    consumer: string,
    ackWaitMs: number,
    host: PullLoopHost,
  ) {
    this.#link = link;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#host = host;
    // The requests of a member that died must be gone before its events are due again: nats-server
    // 2.9 loses a redelivery for which it finds no listener.
    this.#requestHeartbeatMs = Math.max(
      shortestHeartbeatMs,
      Math.min(heartbeatMs, Math.floor(ackWaitMs / 3)),
    );
    this.#watchdog = setInterval(() => this.#look(), heartbeatMs);
    this.#watchdog.unref();
    this.#forgetReconnect = link.onReconnect(() => this.#restart(0));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Begins unless it was already closed; resolves when the server has received the request. */
  async begin(): Promise<void> {
    const connection = await this.#link.open();
    if (this.#closed) return;
    this.#connection = connection;
    this.#responses = new Responses(connection);
    this.#ask();
    await connection.flush();
  }

  /**
   * There may be room for more. Half of the room is requested at once, in one write with the
   * responses of the turn; less than that once the turn of the event loop is over.
   */
  wake(): void {
    if (this.#closed || this.#connection === undefined) return;
    if (2 * this.#free() >= this.#host.capacity) this.#ask();
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#ask();
    });
  }

  /**
   * Takes no more messages; resolves when none can arrive. Messages on their way are returned at
   * once.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#retry);
    this.#forgetReconnect();
    await Promise.all([...this.#requests].map((request) => this.#drain(request)));
  }

  async #drain({ subscription }: PullRequest): Promise<void> {
    if (subscription.isClosed()) return;
    if (this.#link.connected) await subscription.drain().catch(() => subscription.unsubscribe());
    else subscription.unsubscribe();
  }

  /** The number of messages for which there is room and no request. */
  #free(): number {
    return this.#host.room() - this.#outstanding();
  }

  #outstanding(): number {
    let outstanding = 0;
    for (const request of this.#requests) outstanding += request.outstanding;
    return outstanding;
  }

  /** A pending request is joined by another only when at least half of the room is free. */
  #ask(): void {
    const connection = this.#connection;
    if (this.#closed || this.#retry !== undefined || connection === undefined) return;
    if (connection.isClosed()) return;
    const batch = this.#free();
    if (batch <= 0 || (this.#requests.size > 0 && 2 * batch < this.#host.capacity)) return;
    this.#responses?.flush();
    const inbox = createInbox();
    const request: PullRequest = {
      outstanding: batch,
      subscription: connection.subscribe(inbox, {
        callback: (error, message) => this.#receive(request, error, message),
      }),
    };
    this.#requests.add(request);
    this.#heardAt = performance.now();
    connection.publish(
      this.#subject,
      JSON.stringify({
        batch,
        expires: nanos(expiresMs),
        idle_heartbeat: nanos(this.#requestHeartbeatMs),
      }),
      { reply: inbox },
    );
  }

  #receive(request: PullRequest, error: Error | null, message: Msg): void {
    if (this.#closed) {
      if (error === null && statusOf(message) === 0) message.respond("-NAK");
      return;
    }
    this.#heardAt = performance.now();
    if (error !== null) {
      if (this.#requests.has(request)) this.#restart(retryMs);
      return;
    }
    const status = statusOf(message);
    const responses = this.#responses;
    if (status === 0 && responses !== undefined) this.#take(request, message, responses);
    else if (status !== 100) this.#end(request, status);
  }

  #take(request: PullRequest, message: Msg, responses: Responses): void {
    const reply = message.reply ?? "";
    const [deliveries, sequence, storedAt] = deliveryOf(reply);
    if (--request.outstanding <= 0) this.#forget(request);
    this.#host.take({ message, reply, responses, deliveries, sequence, storedAt });
    this.wake();
  }

  /**
   * The server ends a request. 408 and 404: it found too few messages; everything else, such as a
   * missing consumer, needs a check.
   */
  #end(request: PullRequest, status: number): void {
    if (!this.#requests.has(request)) return;
    this.#forget(request);
    if (status === 408 || status === 404) this.wake();
    else void this.#restore();
  }

  #forget(request: PullRequest): void {
    this.#requests.delete(request);
    request.subscription.unsubscribe();
  }

  #look(): void {
    if (this.#requests.size === 0 || !this.#link.connected) return;
    if (performance.now() - this.#heardAt > silenceMs) void this.#restore();
  }

  async #restore(): Promise<void> {
    if (this.#restoring || this.#closed) return;
    this.#restoring = true;
    try {
      await this.#host.restore();
      this.#restart(0);
    } catch {
      // The link's state reports the problem.
      this.#heardAt = performance.now();
      this.#restart(retryMs);
    } finally {
      this.#restoring = false;
    }
  }

  /** Requests again, because the state of earlier requests is unknown. */
  #restart(delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    for (const request of this.#requests) this.#forget(request);
    if (delayMs === 0) {
      this.#ask();
      return;
    }
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        this.#ask();
      },
      delayMs * (0.5 + Math.random()),
    );
    this.#retry.unref();
  }
}

/**
 * What the server says about a delivery in the subject for its acknowledgement: its number, the
 * sequence number in the stream and in the consumer, and when the stream stored the message. Four
 * parts precede these, or six in a domain.
 */
function deliveryOf(reply: string): [deliveries: number, sequence: number, storedAt: string] {
  let dots = 0;
  for (let at = 0; at < reply.length; at++) if (reply.charCodeAt(at) === dot) dots++;
  if (dots < 8) return [1, 0, ""];
  let start = 0;
  for (let left = dots >= 10 ? 6 : 4; left > 0; left--) start = reply.indexOf(".", start) + 1;
  const inStream = reply.indexOf(".", start) + 1;
  const inConsumer = reply.indexOf(".", inStream) + 1;
  const time = reply.indexOf(".", inConsumer) + 1;
  return [
    Number(reply.slice(start, inStream - 1)),
    Number(reply.slice(inStream, inConsumer - 1)),
    reply.slice(time, reply.indexOf(".", time)),
  ];
}

const dot = 0x2e;

/** The status that the server sends in place of a message; 0 for a message. */
function statusOf(message: Msg): number {
  if (message.data.length > 0 || hasTooManyHeaderLines(message)) return 0;
  return message.headers?.code ?? 0;
}
