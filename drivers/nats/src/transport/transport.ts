import type { Socket } from "node:net";
import { MicroError, type Transport } from "@micro-es/runtime";
import {
  type Channel,
  checkDial,
  checkOptions,
  type DialOptions,
  type Dispatcher,
  type Listener,
  type ListenOptions,
  limitKinds,
  listenKinds,
  MessageListener,
  NativeListener,
  openMessageChannel,
  required,
  resetMessage,
  resolveLimits,
  type TransportLimits,
  text,
  withinDialLimits,
} from "@micro-es/runtime/driver";
import { createInbox, headers, nuid, type Subscription } from "nats";
import { natsFailure } from "../link/failure.ts";
import type { NatsLink } from "../link/link.ts";
import { natsLink } from "../link/option-kinds.ts";
import { acceptHeader, subjectSocket } from "./subject-socket.ts";

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
      listen(link, group, address, dispatcher, limits, listenOptions ?? {}),
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
  checkDial(address, options);
  const live = link.live(`dial ${address}`);
  const connection = await withinDialLimits(live, address, options, () => {});
  checkDial(address, options);
  const inbox = createInbox();
  const socket = subjectSocket(link, connection, inbox);
  const ask = () => connection.publish(subject, new Uint8Array(), { reply: inbox });
  return openMessageChannel(socket, address, limits, options, ask);
}

async function listen(
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
  const subscriptions: Subscription[] = [];
  const stop = async () => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
  const listener = new MessageListener(`nats:${subject}`, native, stop);
  const subscribe = (to: string, queue?: string) =>
    connection.subscribe(to, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        const peer = message?.reply ?? "";
        if (error !== null || peer === "") return;
        const inbox = createInbox();
        const socket = subjectSocket(link, connection, inbox, peer);
        const accepted = headers();
        accepted.set(acceptHeader, inbox);
        connection.publish(peer, new Uint8Array(), { headers: accepted, reply: inbox });
        native.accept(socket as unknown as Socket, `nats:${peer}`);
      },
    });
  subscriptions.push(subscribe(subject));
  if (group !== undefined) subscriptions.push(subscribe(group, groupQueue));
  try {
    await connection.flush();
  } catch (error) {
    throw natsFailure(error, what);
  }
  return listener;
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
