import type { Socket } from "node:net";
import { createInbox, headers, nuid, type Subscription } from "nats";
import { remainingMs } from "../deadline.ts";
import { asMicroError, MicroError } from "../error.ts";
import { natsFailure } from "../nats/failure.ts";
import type { NatsLink } from "../nats/link.ts";
import { cancelledBy } from "./call-errors.ts";
import { resolveLimits } from "./limits.ts";
import { ClientConnection } from "./native/client-connection.ts";
import { NativeListener } from "./native/native-listener.ts";
import { resetMessage, SubjectSocket } from "./nats/subject-socket.ts";
import type {
  Channel,
  DialOptions,
  Dispatcher,
  Listener,
  ListenOptions,
  Transport,
  TransportLimits,
} from "./transport.ts";

/** Options of {@link natsTransport}. */
export interface NatsTransportOptions extends Partial<TransportLimits> {
  /** The connection to NATS; its maker closes it, after the listeners and channels. */
  readonly link: NatsLink;
  /**
   * Listeners answer at `nats:` and this subject as well, as one of all listeners that have it: a queue group.
   */
  readonly group?: string;
}

const subjectPattern = /^[A-Za-z0-9_$-]+(?:\.[A-Za-z0-9_$-]+)*$/;
const acceptHeader = "Micro-Accept";
/** What the members of a group are to NATS. */
const groupQueue = "micro";

/**
 * Calls over NATS, for processes that reach the same servers and not each other. It is the native protocol
 * (docs/wire-protocol.md) over a pair of subjects, which survives the loss of the connection to NATS: what was on its
 * way is sent again, and no call fails by it as long as the connection is back in time for its deadline.
 *
 * Addresses are `nats:subject`; listening at `nats:0` takes a subject of its own.
 */
export function natsTransport(options: NatsTransportOptions): Transport {
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
    `${JSON.stringify(address.slice(0, 128))} is no address on NATS: use nats:subject, with parts of letters, digits, "_" and "-"`,
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
  if (signal?.aborted === true) {
    throw cancelledBy(signal.reason, `dialling ${address}`, "not-executed");
  }
  const patienceMs = remainingMs(deadline);
  if (patienceMs <= 0) throw tooLate(address);
  const connection = await link.live(`dial ${address}`);
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
  const onAbort = () => giveUp(cancelledBy(signal?.reason, `dialling ${address}`, "not-executed"));
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(tooLate(address)), Math.ceil(patienceMs))
      : undefined;
  try {
    await channel.ready;
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
    signal?.removeEventListener("abort", onAbort);
  }
}

function tooLate(address: string): MicroError {
  return new MicroError("deadline_exceeded", `${address} was not reached by the deadline`, {
    outcome: "not-executed",
  });
}

class SubjectListener implements Listener {
  readonly address: string;
  readonly #native: NativeListener;
  readonly #subscriptions: Subscription[] = [];
  #stopped: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(address: string, native: NativeListener) {
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
          const answer = headers();
          answer.set(acceptHeader, inbox);
          connection.publish(peer, new Uint8Array(), { headers: answer, reply: inbox });
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

  close(graceMs = 0): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #stop(): Promise<void> {
    this.#stopped ??= Promise.resolve().then(() => {
      for (const subscription of this.#subscriptions) subscription.unsubscribe();
    });
    return this.#stopped;
  }

  async #close(graceMs: number): Promise<void> {
    await this.#stop();
    await this.#native.close(graceMs);
  }
}

/** @throws MicroError `already_exists` when somebody listens at a subject. */
async function requireFree(link: NatsLink, subject: string): Promise<void> {
  const connection = await link.open();
  const inbox = createInbox();
  const taken = await new Promise<boolean>((resolve) => {
    connection.subscribe(inbox, {
      max: 1,
      callback: (error, message) => {
        const accepted = error === null && message.headers?.code !== 503;
        // The probe was taken for a caller, and says at once that it is none.
        if (accepted) connection.publish(message.headers?.get(acceptHeader) ?? "", resetMessage);
        resolve(accepted);
      },
    });
    connection.publish(subject, new Uint8Array(), { reply: inbox });
    setTimeout(() => resolve(false), link.timeoutMs).unref();
  });
  if (!taken) return;
  throw new MicroError("already_exists", `somebody listens at nats:${subject} already`, {
    outcome: "not-executed",
  });
}
