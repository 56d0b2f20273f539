import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { listenForAbort } from "../../../base/abort.ts";
import { remainingMs } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import { dialCancelled, dialTooLate } from "../../dial-limits.ts";
import { type ClientTlsOptions, connectOptions, onReplacedIdentity } from "../../tls.ts";
import type { DialOptions, TransportLimits } from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import { compressionOf, dialTarget } from "./dial-target.ts";
import { http1Agent } from "./http1-agent.ts";
import { Http1Channel } from "./http1-channel.ts";

/**
 * Opens a channel to a server that speaks HTTP/1.1.
 * @throws MicroError as `Transport.dial`.
 */
export async function dialHttp1(
  address: string,
  url: URL,
  options: Partial<HttpCallOptions>,
  limits: TransportLimits,
  dialOptions: DialOptions,
  tls: ClientTlsOptions = {},
): Promise<Http1Channel> {
  const target = dialTarget(url);
  const compression = await compressionOf(options);
  const secure = connectOptions(tls, target.host, dialOptions.service);
  const probe = target.isSecure
    ? connectTls({ ...target, ...secure })
    : connectSocket({ ...target });
  const ready = target.isSecure ? "secureConnect" : "connect";
  await opened(address, probe, ready, limits, dialOptions);
  probe.destroy();
  const agent = http1Agent(target, limits, { options: secure, tls });
  const channel = new Http1Channel(agent, target, address, url, options, limits, compression);
  if (target.isSecure) {
    onReplacedIdentity(tls, channel.closed, (reason) => channel.failing(reason));
  }
  return channel;
}

/** Waits until a connection is usable. */
async function opened(
  address: string,
  connection: Socket,
  ready: string,
  limits: TransportLimits,
  { signal, deadline = Number.POSITIVE_INFINITY }: DialOptions,
): Promise<void> {
  const patienceMs = Math.min(limits.handshakeTimeoutMs, remainingMs(deadline));
  let timer: NodeJS.Timeout | undefined;
  let stopListening: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      // A server that has no capacity for a connection may refuse it at once.
      connection.once(ready, () => setImmediate(resolve));
      connection.once("error", (cause: Error) => reject(unreachable(address, cause)));
      connection.once("close", () => reject(unreachable(address)));
      const late = () => reject(tooLate(address, deadline));
      if (patienceMs <= 0) return late();
      stopListening = listenForAbort(signal, (reason) => reject(dialCancelled(address, reason)));
      timer = setTimeout(late, Math.min(patienceMs, 2 ** 31 - 1));
    });
  } catch (reason) {
    connection.on("error", () => undefined);
    connection.destroy();
    throw reason;
  } finally {
    clearTimeout(timer);
    stopListening?.();
  }
}

function tooLate(address: string, deadline: number): MicroError {
  if (remainingMs(deadline) <= 0) return dialTooLate(address);
  const text = `cannot dial ${address}: it did not say that it speaks HTTP`;
  return new MicroError("unavailable", text, { outcome: "not-executed" });
}

function unreachable(address: string, cause?: Error): MicroError {
  return new MicroError(
    "unavailable",
    `cannot dial ${address}: ${cause?.message ?? "the connection was closed at once"}`,
    { outcome: "not-executed", cause },
  );
}
