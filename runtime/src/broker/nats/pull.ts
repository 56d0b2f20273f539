import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from "nats";
import type { NatsLink } from "../../nats/link.ts";

/** A message that JetStream delivered and waits to hear about. */
export interface PulledMessage {
  readonly message: Msg;
  /** 1 at the first delivery to the consumer. */
  readonly deliveries: number;
  readonly sequence: number;
}

/** What a {@link Pull} works for. */
export interface PullHost {
  /** Messages that may be asked for now. */
  room(): number;
  take(pulled: PulledMessage): void;
  /** The consumer may be gone; resolves when it is there (again). */
  restore(): Promise<void>;
}

const expiresMs = 20_000;
const heartbeatMs = 3_000;
/** A pull that hears nothing for this long is made anew. */
const silenceMs = 3 * heartbeatMs;
const retryMs = 250;

/** Pulls messages of one consumer, as many as there is room for, and goes on after every loss of the connection. */
export class Pull {
  readonly #link: NatsLink;
  readonly #subject: string;
  readonly #host: PullHost;
  readonly #watchdog: NodeJS.Timeout;
  readonly #forgetReconnect: () => void;
  #connection: NatsConnection | undefined;
  #subscription: Subscription | undefined;
  #inbox = "";
  /** Messages that were asked for and did not come yet. */
  #outstanding = 0;
  #heardAt = 0;
  #retry: NodeJS.Timeout | undefined;
  #restoring = false;
  #closed = false;

  constructor(link: NatsLink, stream: string, consumer: string, host: PullHost) {
    this.#link = link;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#host = host;
    this.#watchdog = setInterval(() => this.#look(), heartbeatMs);
    this.#watchdog.unref();
    this.#forgetReconnect = link.onReconnect(() => this.#again(0));
  }

  /** Begins; resolves when the server has been asked. */
  async begin(): Promise<void> {
    this.#connection = await this.#link.open();
    this.#ask();
    await this.#connection.flush();
  }

  /** There may be room for more. */
  wake(): void {
    if (this.#closed || this.#retry !== undefined || this.#connection === undefined) return;
    if (this.#outstanding === 0) this.#ask();
  }

  /** Takes nothing more; resolves when nothing more comes. What was on its way goes back at once. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#retry);
    this.#forgetReconnect();
    const subscription = this.#subscription;
    if (subscription === undefined || subscription.isClosed()) return;
    if (this.#link.connected) await subscription.drain().catch(() => subscription.unsubscribe());
    else subscription.unsubscribe();
  }

  #ask(): void {
    const batch = this.#host.room();
    if (batch <= 0 || this.#connection === undefined || this.#connection.isClosed()) return;
    // Each pull has an inbox of its own, so that the end of one is not taken for that of the next.
    this.#subscription?.unsubscribe();
    this.#inbox = createInbox();
    const inbox = this.#inbox;
    this.#subscription = this.#connection.subscribe(inbox, {
      callback: (error, message) => {
        if (inbox !== this.#inbox) return;
        if (this.#closed) {
          if (error === null && statusOf(message) === 0) message.respond("-NAK");
          return;
        }
        this.#heardAt = performance.now();
        if (error !== null) this.#again(retryMs);
        else this.#take(message);
      },
    });
    this.#outstanding = batch;
    this.#heardAt = performance.now();
    const request = { batch, expires: nanos(expiresMs), idle_heartbeat: nanos(heartbeatMs) };
    this.#connection.publish(this.#subject, JSON.stringify(request), { reply: inbox });
  }

  #take(message: Msg): void {
    const status = statusOf(message);
    if (status !== 0) {
      if (status === 100) return;
      // 408 ends a pull that found too little; everything else, such as a consumer that is gone, needs a look.
      if (status === 408 || status === 404) this.#again(0);
      else void this.#restore();
      return;
    }
    const parts = (message.reply ?? "").split(".");
    const tail = parts.slice(parts.length >= 11 ? 6 : 4);
    const [deliveries = 1, sequence = 0] = tail.map(Number);
    this.#outstanding--;
    this.#host.take({ message, deliveries, sequence });
    if (this.#outstanding === 0) this.wake();
  }

  #look(): void {
    if (this.#outstanding === 0 || !this.#link.connected) return;
    if (performance.now() - this.#heardAt > silenceMs) void this.#restore();
  }

  async #restore(): Promise<void> {
    if (this.#restoring || this.#closed) return;
    this.#restoring = true;
    try {
      await this.#host.restore();
      this.#again(0);
    } catch {
      // The link's state says what is wrong.
      this.#heardAt = performance.now();
      this.#again(retryMs);
    } finally {
      this.#restoring = false;
    }
  }

  #again(delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#outstanding = 0;
    if (delayMs === 0) {
      this.#retry = undefined;
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

/** What the server says in place of a message; 0 for a message. */
function statusOf({ data, headers }: Msg): number {
  return data.length === 0 ? (headers?.code ?? 0) : 0;
}
