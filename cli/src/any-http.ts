import { asMicroError, httpTransport, MicroError, type Transport } from "@micro-es/runtime";
import type { Protocol } from "./protocols.ts";

/**
 * Speaks a protocol with a server by HTTP/2, and with one that knows no HTTP/2 by HTTP/1.1, as many servers of Connect and
 * gRPC-Web. gRPC needs HTTP/2: then it is said what may reach the server instead.
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
          `${address} speaks no HTTP/2, as gRPC does; does --protocol connect or grpc-web reach it?`,
          { outcome: "not-executed", cause: reason },
        );
      }
    },
  };
}

/** Whether somebody is there who answered, or hung up, at HTTP/2's first bytes. */
function isNoHttp2(reason: unknown): boolean {
  const { code, cause } = asMicroError(reason);
  if (code !== "unavailable") return false;
  if (!(cause instanceof Error) || !("code" in cause)) return true;
  return ["ERR_HTTP2_ERROR", "ERR_HTTP2_SESSION_ERROR", "ECONNRESET", "EPIPE"].includes(
    String(cause.code),
  );
}
