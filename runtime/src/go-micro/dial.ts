import { type ClientTlsOptions, onReplacedIdentity } from "../transport/tls.ts";
import type { TransportLimits } from "../transport/transport.ts";
import type { BodyCodec } from "./body-codec.ts";
import { bodyCodec } from "./body-codecs.ts";
import { GoMicroChannel } from "./channel.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import type { CallForm } from "./outgoing-call.ts";
import { SocketPool } from "./socket-pool.ts";

const contentTypes = { binary: "application/protobuf", json: "application/json" } as const;

/** Returns how messages are written in an encoding. */
export function callForm(encoding: keyof typeof contentTypes): CallForm {
  const contentType = contentTypes[encoding];
  return { contentType, form: bodyCodec(contentType) as BodyCodec };
}

/**
 * Returns a channel whose first connection is open.
 * @throws MicroError as {@link ConnectionPool.open}
 */
export async function connected(
  source: ConnectionPool,
  limits: TransportLimits,
  encoding: keyof typeof contentTypes,
): Promise<GoMicroChannel> {
  const channel = new GoMicroChannel(source, limits, callForm(encoding));
  await channel.connect();
  return channel;
}

/** Connects to a server of go-micro's HTTP transport. */
export async function openChannel(to: {
  readonly address: string;
  readonly host: string;
  readonly encoding: keyof typeof contentTypes;
  readonly limits: TransportLimits;
  readonly tls: ClientTlsOptions | undefined;
  readonly service: string | undefined;
}): Promise<GoMicroChannel> {
  const source = new SocketPool(to.address, to.host, to.limits, to.tls, to.service);
  const channel = await connected(source, to.limits, to.encoding);
  onReplacedIdentity(to.tls ?? {}, channel.closed, (reason) => channel.retire(reason));
  return channel;
}
