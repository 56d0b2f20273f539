import { randomUUID } from "node:crypto";
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
  resolveLimits,
  type TransportLimits,
  text,
  withinDialLimits,
} from "@micro-es/runtime/driver";
import type { ConsumeMessage } from "amqplib";
import { replyCodeOf } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";
import { rabbitMqLink } from "../link/options.ts";
import { dialType, Inbox, queuePrefix, senderOf } from "./inbox.ts";
import { KeptConsumer } from "./kept-consumer.ts";

/** Options of {@link rabbitmqTransport}. */
export interface RabbitMqTransportOptions extends Partial<TransportLimits> {
  /** The connections to RabbitMQ; their creator closes them, after the listeners and channels. */
  readonly link: RabbitMqLink;
  /**
   * Listeners also accept calls at `rabbitmq:` and this name, as one of all listeners in the group.
   */
  readonly group?: string;
}

const namePattern = /^[A-Za-z0-9._-]{1,200}$/;

/**
 * A transport over queues of RabbitMQ, for processes that reach the same servers but not each
 * other. It is the native protocol (docs/wire-protocol.md) over two queues, one for each process.
 * It survives the loss of the connection to RabbitMQ: data in flight is sent again, and no call
 * fails because of it if the connection is back before the call's deadline.
 *
 * Addresses are `rabbitmq:name`; listening at `rabbitmq:0` uses a unique name.
 *
 * @example
 * ```ts
 * import { RabbitMqLink, rabbitmqTransport } from "@micro-es/rabbitmq";
 * import { createClient } from "@micro-es/runtime";
 *
 * const link = new RabbitMqLink({ servers: "127.0.0.1:5672" });
 * const client = createClient({ transports: [rabbitmqTransport({ link })], owned: [link] });
 * ```
 */
export function rabbitmqTransport(options: RabbitMqTransportOptions): Transport {
  const kinds = { ...limitKinds, link: required(rabbitMqLink), group: text };
  checkOptions("rabbitmqTransport", options, kinds);
  const { link, group, ...rest } = options;
  const limits = resolveLimits(rest);
  if (group !== undefined) nameOf(`rabbitmq:${group}`);
  return {
    name: "rabbitmq",
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
    accepts: (address) => address.startsWith("rabbitmq:") && namePattern.test(address.slice(9)),
    dial: (address, dialOptions) => dial(link, address, limits, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      listen(link, group, address, dispatcher, limits, listenOptions ?? {}),
  };
}

/** @throws MicroError `invalid_argument` */
function nameOf(address: string): string {
  const name = address.startsWith("rabbitmq:") ? address.slice(9) : "";
  if (namePattern.test(name)) return name;
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(address.slice(0, 128))} is not an address on RabbitMQ: use rabbitmq:name, with 1 to 200 letters, digits, ".", "_" and "-"`,
    { outcome: "not-executed" },
  );
}

async function dial(
  link: RabbitMqLink,
  address: string,
  limits: TransportLimits,
  options: DialOptions,
): Promise<Channel> {
  const queue = `${queuePrefix}${nameOf(address)}`;
  checkDial(address, options);
  const inbox = Inbox.of(link);
  await withinDialLimits(inbox.open(`dial ${address}`), address, options, () => {});
  checkDial(address, options);
  const { id, socket } = inbox.socket();
  return openMessageChannel(socket, address, limits, options, () => inbox.dial(queue, id));
}

async function listen(
  link: RabbitMqLink,
  group: string | undefined,
  address: string,
  dispatcher: Dispatcher,
  limits: TransportLimits,
  options: ListenOptions,
): Promise<Listener> {
  const asked = nameOf(address);
  const own = `rabbitmq:${asked === "0" ? randomUUID() : asked}`;
  const what = `listen at ${own}`;
  checkOptions(what, options, listenKinds);
  const inbox = Inbox.of(link);
  await inbox.open(what);
  const native = new NativeListener(dispatcher, limits, "rabbitmq", options);
  const take = (message: ConsumeMessage) => {
    const peer = senderOf(message);
    if (peer === undefined || message.properties.type !== dialType) return;
    const { id, socket } = inbox.socket(peer);
    inbox.accept(peer, id);
    native.accept(socket as unknown as Socket, `rabbitmq:${peer}`);
  };
  const names = group === undefined ? [nameOf(own)] : [nameOf(own), group];
  const consumers = names.map(
    (name, index) =>
      new KeptConsumer({ link, queue: `${queuePrefix}${name}`, isShared: index > 0, take }),
  );
  const stop = async () => {
    await Promise.all(consumers.map((consumer) => consumer.close()));
  };
  try {
    for (const consumer of consumers) await consumer.begin(what);
  } catch (error) {
    await stop();
    throw inUse(error, own);
  }
  return new MessageListener(own, native, stop);
}

/** Another process consumes the queue, which is the listener's alone. */
function inUse(error: unknown, address: string): unknown {
  const { cause, message } = error as Error;
  if (replyCodeOf(cause ?? {}) !== 403 || !/exclusive/.test(message)) return error;
  return new MicroError(
    "already_exists",
    `cannot listen at ${address}: another process listens there; stop it or choose another address`,
    { outcome: "not-executed", cause: error },
  );
}
