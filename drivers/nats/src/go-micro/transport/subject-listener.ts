import {
  Closable,
  ConnectionPeer,
  type Dispatcher,
  GoMicroProtocolServer,
  type IncomingConnection,
  type Listener,
  type ListenOptions,
  monotonicNow,
  type TransportLimits,
} from "@micro-es/runtime/driver";
import type { Subscription } from "nats";
import { natsFailure } from "../../link/failure.ts";
import type { NatsLink } from "../../link/link.ts";
import { SubjectConnection } from "./subject-connection.ts";

/** How long a silent caller without a pending response is remembered, in milliseconds. */
const forgetAfterMs = 60_000;

interface Caller {
  readonly link: SubjectConnection;
  readonly served: IncomingConnection;
  heardAt: number;
}

/**
 * Accepts go-micro calls on a NATS subject; a caller is identified by the subject for its
 * responses.
 */
export class GoMicroSubjectListener extends Closable<[graceMs?: number]> implements Listener {
  readonly address: string;
  readonly #front: GoMicroProtocolServer;
  readonly #limits: TransportLimits;
  readonly #callers = new Map<string, Caller>();
  readonly #timer: NodeJS.Timeout;
  #subscription: Subscription | undefined;

  private constructor(
    address: string,
    dispatcher: Dispatcher,
    limits: TransportLimits,
    options: ListenOptions,
  ) {
    super();
    this.address = address;
    this.#limits = limits;
    this.#front = new GoMicroProtocolServer(dispatcher, limits, "nats", address, {}, options);
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
            return new SubjectConnection(connection, reply, limits.maxMessageBytes, served, forget);
          });
        if (caller === undefined) return;
        caller.heardAt = monotonicNow();
        caller.link.take(message.data);
      },
    });
    try {
      // The server has the subscription when it responds to a message sent after it.
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

  /** Refuses calls; keeps the subject until it closes, so that callers receive the refusal. */
  drain(): Promise<void> {
    return this.#front.drain();
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    clearInterval(this.#timer);
    await this.#front.close(graceMs);
    this.#subscription?.unsubscribe();
  }

  #meet(
    reply: string,
    open: (served: IncomingConnection, forget: () => void) => SubjectConnection,
  ): Caller | undefined {
    if (this.#callers.size >= this.#limits.maxConnections) this.#forget();
    if (this.#callers.size >= this.#limits.maxConnections) return undefined;
    let link!: SubjectConnection;
    const served = this.#front.add(
      new ConnectionPeer(`nats:${reply}`, this.#front.transport),
      (owner) => {
        link = open(owner, () => this.#callers.delete(reply));
        return link;
      },
    );
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
