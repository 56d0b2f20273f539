import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectSocket, type LookupFunction, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { listenForAbort } from "../../base/abort.ts";
import { remainingMs } from "../../base/deadline.ts";
import { checkDialable, lookupDialable } from "../../base/dialable-address.ts";
import { MicroError } from "../../base/error.ts";
import { dialCancelled } from "../dial-limits.ts";
import { type ClientTlsOptions, connectOptions, onServerExpiry } from "../tls.ts";
import type { DialOptions, TransportLimits } from "../transport.ts";
import type { HttpCallOptions } from "./call-options.ts";
import { HttpChannel } from "./channel.ts";
import { Http1Link } from "./http1-link.ts";
import { Http2Link } from "./http2-link.ts";

/**
 * Opens a channel to a server that speaks HTTP.
 * @throws MicroError as `Transport.dial`.
 */
export async function dialHttp(
  address: string,
  url: URL,
  options: Partial<HttpCallOptions>,
  limits: TransportLimits,
  dialOptions: DialOptions,
  tls: ClientTlsOptions = {},
): Promise<HttpChannel> {
  checkDialable(target(url).host);
  const secure = connectOptions(tls, url.hostname.replace(/^\[|\]$/g, ""), dialOptions.service);
  if (options.httpVersion === "1.1") {
    const probe =
      url.protocol === "https:"
        ? connectTls({ ...target(url), ...secure })
        : connectSocket(target(url));
    const ready = url.protocol === "https:" ? "secureConnect" : "connect";
    await opened(address, probe, ready, limits, dialOptions);
    probe.destroy();
    return new HttpChannel(
      address,
      url,
      options,
      limits,
      (owner) => new Http1Link(url, limits, { options: secure, tls }, owner),
      false,
    );
  }
  const session = connectHttp2(url.origin, {
    ...secure,
    lookup: lookupDialable,
    settings: { enablePush: false, initialWindowSize: limits.streamWindowBytes },
  });
  let socket: Duplex | undefined;
  session.once("connect", (_session, connected: Duplex) => {
    socket = connected;
  });
  // The server's settings prove that it speaks HTTP/2; an established connection does not.
  await opened(address, session, "remoteSettings", limits, dialOptions);
  const channel = new HttpChannel(
    address,
    url,
    options,
    limits,
    (owner) => new Http2Link(session, socket!, url, limits, owner),
    true,
  );
  if (url.protocol === "https:") {
    onServerExpiry(socket as TLSSocket, tls, (reason) => channel.link.destroy(reason));
  }
  return channel;
}

function target(url: URL): { host: string; port: number; lookup: LookupFunction } {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  return { host, port, lookup: lookupDialable };
}

/** Waits until a connection is usable. */
async function opened(
  address: string,
  connection: ClientHttp2Session | Socket,
  ready: string,
  limits: TransportLimits,
  { signal, deadline = Number.POSITIVE_INFINITY }: DialOptions,
): Promise<void> {
  const patienceMs = Math.min(limits.handshakeTimeoutMs, remainingMs(deadline));
  const emitter: NodeJS.EventEmitter = connection;
  let timer: NodeJS.Timeout | undefined;
  let stopListening: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      // A server that has no capacity for a connection sends its settings and then refuses it at
      // once.
      emitter.once(ready, () => setImmediate(resolve));
      emitter.once("goaway", (_code: number, _last: number, why?: Uint8Array) =>
        reject(refused(address, why)),
      );
      emitter.once("error", (cause: Error) => reject(unreachable(address, cause)));
      emitter.once("close", () => reject(unreachable(address)));
      const late = () => reject(tooLate(address, deadline));
      if (patienceMs <= 0) return late();
      stopListening = listenForAbort(signal, (reason) => reject(dialCancelled(address, reason)));
      timer = setTimeout(late, Math.min(patienceMs, 2 ** 31 - 1));
    });
  } catch (reason) {
    emitter.on("error", () => undefined);
    connection.destroy();
    throw reason;
  } finally {
    clearTimeout(timer);
    stopListening?.();
  }
}

function tooLate(address: string, deadline: number): MicroError {
  const passed = remainingMs(deadline) <= 0;
  return new MicroError(
    passed ? "deadline_exceeded" : "unavailable",
    passed
      ? `${address} was not reached by the deadline`
      : `cannot dial ${address}: it did not say that it speaks HTTP`,
    { outcome: "not-executed" },
  );
}

function refused(address: string, why: Uint8Array | undefined): MicroError {
  const said = Buffer.from(why ?? [])
    .toString("utf8")
    .slice(0, 256);
  return new MicroError("unavailable", `${address} takes no connection${said && `: ${said}`}`, {
    outcome: "not-executed",
  });
}

function unreachable(address: string, cause?: Error): MicroError {
  return new MicroError(
    "unavailable",
    `cannot dial ${address}: ${cause?.message ?? "the connection was closed at once"}`,
    { outcome: "not-executed", cause },
  );
}
