import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { listenForAbort } from "../../../base/abort.ts";
import { remainingMs } from "../../../base/deadline.ts";
import { checkDialable, lookupDialable } from "../../../base/dialable-address.ts";
import { MicroError } from "../../../base/error.ts";
import { dialCancelled, dialTooLate } from "../../dial-limits.ts";
import { type ClientTlsOptions, connectOptions, onServerExpiry } from "../../tls.ts";
import type { DialOptions, TransportLimits } from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { Compression } from "../compression/algorithms.ts";
import { Http2Channel } from "./http2-channel.ts";

/**
 * Opens a channel to a server that speaks HTTP/2.
 * @throws MicroError as `Transport.dial`.
 */
export async function dialHttp2(
  address: string,
  url: URL,
  options: Partial<HttpCallOptions>,
  limits: TransportLimits,
  dialOptions: DialOptions,
  tls: ClientTlsOptions = {},
): Promise<Http2Channel> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  checkDialable(host);
  const compression = await compressionOf(options);
  const isSecure = url.protocol === "https:";
  const target = {
    host,
    port: Number(url.port || (isSecure ? 443 : 80)),
    lookup: lookupDialable,
    noDelay: true,
  };
  const { service, signal, deadline = Number.POSITIVE_INFINITY } = dialOptions;
  let socket: Socket;
  if (isSecure) {
    const secure = connectOptions(tls, host, service);
    socket = connectTls({ ...target, ...secure, ALPNProtocols: ["h2"] });
  } else socket = connectSocket(target);
  const channel = new Http2Channel(socket, address, url, options, limits, compression);
  const { connection } = channel;
  let givenUp: MicroError | undefined;
  const giveUp = (reason: MicroError) => {
    givenUp ??= reason;
    connection.end(reason);
    socket.destroy();
  };
  const patienceMs = remainingMs(deadline);
  const stopListening = listenForAbort(signal, (reason) => giveUp(dialCancelled(address, reason)));
  // The connection enforces the handshake timeout itself.
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(dialTooLate(address)), Math.max(0, Math.ceil(patienceMs)))
      : undefined;
  try {
    await channel.ready;
    if (givenUp !== undefined) throw givenUp;
  } catch (reason) {
    const error = givenUp ?? dialError(address, reason as MicroError);
    giveUp(error);
    throw error;
  } finally {
    clearTimeout(timer);
    stopListening();
  }
  if (isSecure) {
    onServerExpiry(socket as TLSSocket, tls, (reason) => {
      connection.end(reason, true);
      socket.destroy();
    });
  }
  return channel;
}

/** Loads what compresses requests, only where some are to be compressed. */
async function compressionOf({
  compression,
}: Partial<HttpCallOptions>): Promise<Compression | undefined> {
  if (compression === undefined) return undefined;
  const { compressions } = await import("../compression/algorithms.ts");
  return compressions.find(({ name }) => name === compression);
}

function dialError(address: string, reason: MicroError): MicroError {
  // The server itself said that it takes no connection.
  if (reason.outcome === "not-executed") return reason;
  const { message } = reason.cause instanceof Error ? reason.cause : reason;
  return new MicroError("unavailable", `cannot dial ${address}: ${message}`, {
    outcome: "not-executed",
    cause: reason,
  });
}
