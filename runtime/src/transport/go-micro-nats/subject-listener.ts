import type { Subscription } from "nats";
import { monotonicNow } from "../../deadline.ts";
import { natsFailure } from "../../nats/failure.ts";
import type { NatsLink } from "../../nats/link.ts";
import { GoMicroFront } from "../go-micro/go-micro-front.ts";
import type { ServedLink } from "../go-micro/served-link.ts";
import type { Dispatcher, Listener, ListenOptions, TransportLimits } from "../transport.ts";
import { SubjectLink } from "./subject-link.ts";

/** How long a caller of whom nothing is heard, and to whom no answer is owed, is kept in mind, in milliseconds. */
const forgetAfterMs = 60_000;

interface Caller {
  readonly link: SubjectLink;
  readonly served: ServedLink;
  heardAt: number;
}

/** Takes calls of go-micro's at a subject of NATS; a caller is the subject that it wants its answers at. */
export class GoMicroSubjectListener implements Listener {
  readonly address: string;
  readonly #front: GoMicroFront;
  readonly #limits: TransportLimits;
  readonly #callers = new Map<string, Caller>();
  readonly #timer: NodeJS.Timeout;
  #subscription: Subscription | undefined;
  #closed: Promise<void> | undefined;

  private constructor(
    address: string,
    dispatcher: Dispatcher,
    limits: TransportLimits,
    options: ListenOptions,
  ) {
    this.address = address;
    this.#limits = limits;
    this.#front = new GoMicroFront(dispatcher, limits, "nats", address, {}, options);
    this.#timer = setInterval(() => this.#forget(), forgetAfterMs / 2).unref();
  }

  /** @throws MicroError `unavailable` when there is no connection. */
  static async open(
    link: NatsLink,
    subject: string,
    dispatcher: Dispatcher,
    limits: TransportLimits,
    options: ListenOptions,
  ): Promise<GoMicroSubjectListener> {
    const what = `listen at nats:${subject}`;
    const connection = await link.live(what);
    const listener = new GoMicroSubjectListener(`nats:${subject}`, dispatcher, limits, options);
    listener.#subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null || !message.reply) return;
        const { reply } = message;
        const caller =
          listener.#callers.get(reply) ??
          listener.#meet(reply, (served, forget) => {
            return new SubjectLink(connection, reply, limits.maxMessageBytes, served, forget);
          });
        if (caller === undefined) return;
        caller.heardAt = monotonicNow();
        caller.link.take(message.data);
      },
    });
    try {
      // The server has the subscription when it answers what was sent after it.
      await connection.flush();
    } catch (error) {
      await listener.close();
      throw natsFailure(error, what);
    }
    return listener;
  }

  get connections(): number {
    return this.#callers.size;
  }

  get openCalls(): number {
    return this.#front.openCalls;
  }

  /** Refuses calls; the subject is kept until it closes, so that callers hear of it. */
  drain(): Promise<void> {
    return this.#front.drain();
  }

  close(graceMs = 0): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
    clearInterval(this.#timer);
    await this.#front.close(graceMs);
    this.#subscription?.unsubscribe();
  }

  #meet(
    reply: string,
    open: (served: ServedLink, forget: () => void) => SubjectLink,
  ): Caller | undefined {
    if (this.#callers.size >= this.#limits.maxConnections) this.#forget();
    if (this.#callers.size >= this.#limits.maxConnections) return undefined;
    let link!: SubjectLink;
    const served = this.#front.add(`nats:${reply}`, (owner) => {
      link = open(owner, () => this.#callers.delete(reply));
      return link;
    });
    const caller = { link, served, heardAt: monotonicNow() };
    this.#callers.set(reply, caller);
    return caller;
  }

  #forget(): void {
    const before = monotonicNow() - forgetAfterMs;
    for (const { link, served, heardAt } of [...this.#callers.values()]) {
      if (heardAt <= before && served.openCalls === 0) link.destroy();
    }
  }
}
