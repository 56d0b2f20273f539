import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { remainingMs } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import { cancelledBy } from "../call-errors.ts";
import { type ClientTlsOptions, connectOptions } from "../tls.ts";
import type { DialOptions, TransportLimits } from "../transport.ts";
import type { HttpCallOptions } from "./http-call-options.ts";
import { HttpChannel } from "./http-channel.ts";
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
  const secure = connectOptions(tls, url.hostname.replace(/^\[|\]$/g, ""));
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
      (owner) => new Http1Link(url, limits, secure, owner),
    );
  }
  const session = connectHttp2(url.origin, {
    ...secure,
    settings: { enablePush: false, initialWindowSize: limits.streamWindowBytes },
  });
  // The other side's settings say that HTTP/2 is spoken there; being connected does not.
  await opened(address, session, "remoteSettings", limits, dialOptions);
  return new HttpChannel(
    address,
    url,
    options,
    limits,
    (owner) => new Http2Link(session, url, limits, owner),
  );
}

function target(url: URL): { host: string; port: number } {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  return { host, port };
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
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = () => reject(cancelledBy(signal?.reason, `dialling ${address}`, "not-executed"));
      if (signal?.aborted === true) return onAbort();
      const late = () => reject(tooLate(address, deadline));
      if (patienceMs <= 0) return late();
      signal?.addEventListener("abort", onAbort, { once: true });
      timer = setTimeout(late, Math.min(patienceMs, 2 ** 31 - 1));
      // A server that has no room for a connection greets it, and says so in the next breath.
      emitter.once(ready, () => setImmediate(resolve));
      emitter.once("goaway", (_code: number, _last: number, why?: Uint8Array) =>
        reject(refused(address, why)),
      );
      emitter.once("error", (cause: Error) => reject(unreachable(address, cause)));
      emitter.once("close", () => reject(unreachable(address)));
    });
  } catch (reason) {
    emitter.on("error", () => undefined);
    connection.destroy();
    throw reason;
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
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
