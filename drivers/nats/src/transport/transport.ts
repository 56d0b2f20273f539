import type { Socket } from "node:net";
import { asMicroError, MicroError, remainingMs, type Transport } from "@micro-es/runtime";
import {
  type Channel,
  ClientConnection,
  Closable,
  checkDial,
  checkOptions,
  type DialOptions,
  type Dispatcher,
  dialCancelled,
  dialTooLate,
  type Listener,
  type ListenOptions,
  limitKinds,
  listenForAbort,
  listenKinds,
  NativeListener,
  required,
  resolveLimits,
  type TransportLimits,
  text,
  withinDialLimits,
} from "@micro-es/runtime/driver";
import { createInbox, headers, nuid, type Subscription } from "nats";
import { natsFailure } from "../link/failure.ts";
import type { NatsLink } from "../link/link.ts";
import { natsLink } from "../link/option-kinds.ts";
import { resetMessage, SubjectSocket } from "./subject-socket.ts";

/** Options of {@link natsTransport}. */
export interface NatsTransportOptions extends Partial<TransportLimits> {
  /** The connection to NATS; its creator closes it, after the listeners and channels. */
  readonly link: NatsLink;
  /**
   * Listeners also accept calls at `nats:` and this subject, as one of all listeners in the group:
   * a queue group.
   */
  readonly group?: string;
}

const subjectPattern = /^[A-Za-z0-9_$-]+(?:\.[A-Za-z0-9_$-]+)*$/;
const acceptHeader = "Micro-Accept";
/** The name of the queue group that members share in NATS. */
const groupQueue = "micro";

/**
 * A transport over NATS, for processes that reach the same servers but not each other. It is the
 * native protocol (docs/wire-protocol.md) over a pair of subjects. It survives the loss of the
 * connection to NATS: data in flight is sent again, and no call fails because of it if the
 * connection is back before the call's deadline.
 *
 * Addresses are `nats:subject`; listening at `nats:0` uses a unique subject.
 *
 * @example
 * ```ts
 * import { NatsLink, natsTransport } from "@micro-es/nats";
 * import { createClient } from "@micro-es/runtime";
 *
 * const link = new NatsLink({ servers: "nats://127.0.0.1:4222" });
 * const client = createClient({ transports: [natsTransport({ link })], owned: [link] });
 * ```
 */
export function natsTransport(options: NatsTransportOptions): Transport {
  checkOptions("natsTransport", options, { ...limitKinds, link: required(natsLink), group: text });
  const { link, group, ...rest } = options;
  const limits = resolveLimits(rest);
  if (group !== undefined) subjectOf(`nats:${group}`);
  return {
    name: "nats",
    protocol: "native",
    guarantees: {
      reach: "backend",
      flowControl: "stream",
      cancellation: true,
      drain: true,
      fullMetadata: true,
      resumption: true,
      encrypted: link.encrypted,
      maxMessageBytes: limits.maxMessageBytes,
    },
    accepts: (address) => address.startsWith("nats:") && subjectPattern.test(address.slice(5)),
    dial: (address, dialOptions) => dial(link, address, limits, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      SubjectListener.open(link, group, address, dispatcher, limits, listenOptions ?? {}),
  };
}

/** @throws MicroError `invalid_argument` */
function subjectOf(address: string): string {
  const subject = address.startsWith("nats:") ? address.slice(5) : "";
  if (subjectPattern.test(subject) && subject.length <= 200) return subject;
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(address.slice(0, 128))} is not an address on NATS: use nats:subject, with parts of letters, digits, "_" and "-"`,
    { outcome: "not-executed" },
  );
}

async function dial(
  link: NatsLink,
  address: string,
  limits: TransportLimits,
  options: DialOptions,
): Promise<Channel> {
  const subject = subjectOf(address);
  const { signal, deadline = Number.POSITIVE_INFINITY } = options;
  checkDial(address, options);
  const live = link.live(`dial ${address}`);
  const connection = await withinDialLimits(live, address, options, () => {});
  checkDial(address, options);
  const patienceMs = remainingMs(deadline);
  const inbox = createInbox();
  const socket = new SubjectSocket(link, connection, inbox, (message) => {
    const peer = message.headers?.get(acceptHeader) ?? "";
    if (peer === "") return false;
    socket.connected(peer);
    return true;
  });
  const channel = new ClientConnection(socket as unknown as Socket, address, limits);
  channel.greet();
  connection.publish(subject, new Uint8Array(), { reply: inbox });
  let givenUp: MicroError | undefined;
  const giveUp = (reason: MicroError) => {
    givenUp = reason;
    channel.end(reason);
    socket.destroy();
  };
  const stopListening = listenForAbort(signal, (reason) => giveUp(dialCancelled(address, reason)));
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(dialTooLate(address)), Math.ceil(patienceMs))
      : undefined;
  try {
    await channel.ready;
    if (givenUp !== undefined) throw givenUp;
    return channel;
  } catch (reason) {
    if (givenUp !== undefined) throw givenUp;
    const { message } = asMicroError(reason);
    throw new MicroError("unavailable", `cannot dial ${address}: ${message}`, {
      outcome: "not-executed",
      cause: reason,
    });
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

class SubjectListener extends Closable<[graceMs?: number]> implements Listener {
  readonly address: string;
  readonly #native: NativeListener;
  readonly #subscriptions: Subscription[] = [];
  #stopped: Promise<void> | undefined;

  private constructor(address: string, native: NativeListener) {
    super();
    this.address = address;
    this.#native = native;
    native.address = address;
  }

  static async open(
    link: NatsLink,
    group: string | undefined,
    address: string,
    dispatcher: Dispatcher,
    limits: TransportLimits,
    options: ListenOptions,
  ): Promise<Listener> {
    const asked = subjectOf(address);
    const subject = asked === "0" ? `micro.call.${nuid.next()}` : asked;
    const what = `listen at nats:${subject}`;
    checkOptions(what, options, listenKinds);
    const connection = await link.live(what);
    if (asked !== "0") await requireFree(link, subject);
    const native = new NativeListener(dispatcher, limits, "nats", options);
    const listener = new SubjectListener(`nats:${subject}`, native);
    const subscribe = (to: string, queue?: string) =>
      connection.subscribe(to, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => {
          const peer = message?.reply ?? "";
          if (error !== null || peer === "") return;
          const inbox = createInbox();
          const socket = new SubjectSocket(link, connection, inbox);
          const accepted = headers();
          accepted.set(acceptHeader, inbox);
          connection.publish(peer, new Uint8Array(), { headers: accepted, reply: inbox });
          socket.connected(peer);
          native.accept(socket as unknown as Socket, `nats:${peer}`);
        },
      });
    listener.#subscriptions.push(subscribe(subject));
    if (group !== undefined) listener.#subscriptions.push(subscribe(group, groupQueue));
    try {
      await connection.flush();
    } catch (error) {
      throw natsFailure(error, what);
    }
    return listener;
  }

  get connections(): number {
    return this.#native.connections;
  }

  get openCalls(): number {
    return this.#native.openCalls;
  }

  drain(): Promise<void> {
    this.#stop();
    return this.#native.drain();
  }

  #stop(): Promise<void> {
    this.#stopped ??= Promise.resolve().then(() => {
      for (const subscription of this.#subscriptions) subscription.unsubscribe();
    });
    return this.#stopped;
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    await this.#stop();
    await this.#native.close(graceMs);
  }
}

/** @throws MicroError `already_exists` when a subject already has a listener. */
async function requireFree(link: NatsLink, subject: string): Promise<void> {
  const connection = await link.open();
  const inbox = createInbox();
  const taken = await new Promise<boolean>((resolve) => {
    connection.subscribe(inbox, {
      max: 1,
      callback: (error, message) => {
        const accepted = error === null && message.headers?.code !== 503;
        // The probe was accepted as a caller, and ends the connection at once.
        if (accepted) connection.publish(message.headers?.get(acceptHeader) ?? "", resetMessage);
        resolve(accepted);
      },
    });
    connection.publish(subject, new Uint8Array(), { reply: inbox });
    setTimeout(() => resolve(false), link.timeoutMs).unref();
  });
  if (!taken) return;
  throw new MicroError(
    "already_exists",
    `cannot listen at nats:${subject}: another process listens there; stop it or choose another address`,
    {
      outcome: "not-executed",
    },
  );
}
