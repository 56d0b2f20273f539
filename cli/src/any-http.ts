import { asMicroError, httpTransport, MicroError, type Transport } from "@micro-es/runtime";
import type { Protocol } from "./protocols.ts";

/**
 * Calls a server by HTTP/2, or by HTTP/1.1 if it does not support HTTP/2, as many servers of
 * Connect and gRPC-Web do not. gRPC needs HTTP/2: the error then names protocols that may reach the
 * server.
 */
export function anyHttpTransport(protocol: Exclude<Protocol, "native">): Transport {
  const [newer, older] = [
    httpTransport({ protocol }),
    httpTransport({ protocol, httpVersion: "1.1" }),
  ];
  return {
    ...newer,
    async dial(address, options) {
      try {
        return await newer.dial(address, options);
      } catch (reason) {
        if (!isNoHttp2(reason)) throw reason;
        if (protocol !== "grpc") return older.dial(address, options);
        throw new MicroError(
          "unavailable",
          `${address} does not support HTTP/2, which gRPC needs; try --protocol connect or grpc-web`,
          { outcome: "not-executed", cause: reason },
        );
      }
    },
  };
}

/** Whether a server responded to HTTP/2's first bytes or closed the connection. */
function isNoHttp2(reason: unknown): boolean {
  const { code, cause } = asMicroError(reason);
  if (code !== "unavailable") return false;
  const first = firstCause(cause);
  if (!(first instanceof Error) || !("code" in first)) return true;
  // The runtime's own HTTP/2 reports its error codes, which are numbers.
  if (typeof first.code === "number") return true;
  return ["ERR_HTTP2_ERROR", "ERR_HTTP2_SESSION_ERROR", "ECONNRESET", "EPIPE"].includes(
    String(first.code),
  );
}

function firstCause(reason: unknown): unknown {
  let first = reason;
  while (first instanceof Error && first.cause !== undefined) first = first.cause;
  return first;
}
