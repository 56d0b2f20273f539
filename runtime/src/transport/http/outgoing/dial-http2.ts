import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { listenForAbort } from "../../../base/abort.ts";
import { remainingMs } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import { dialCancelled, dialTooLate } from "../../dial-limits.ts";
import {
  type ClientTlsOptions,
  connectOptions,
  onReplacedIdentity,
  onServerExpiry,
} from "../../tls.ts";
import type { DialOptions, TransportLimits } from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import { compressionOf, dialTarget } from "./dial-target.ts";
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
  const { isSecure, ...target } = dialTarget(url);
  const compression = await compressionOf(options);
  const { service, signal, deadline = Number.POSITIVE_INFINITY } = dialOptions;
  let socket: Socket;
  if (isSecure) {
    const secure = connectOptions(tls, target.host, service);
    socket = connectTls({ ...target, ...secure, ALPNProtocols: ["h2"] }).setNoDelay();
  } else socket = connectSocket({ ...target, noDelay: true });
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
    onReplacedIdentity(tls, channel.closed, (reason) => channel.retire(reason));
  }
  return channel;
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
