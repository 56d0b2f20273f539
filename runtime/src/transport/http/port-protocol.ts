import type { PortProtocol } from "../port/protocol-server.ts";
import type { HttpProtocolOptions } from "./protocol-server.ts";

/** HTTP/1.1 and HTTP/2 on a port: Connect, gRPC and gRPC-Web (docs/http.md). */
export function httpProtocol(options: HttpProtocolOptions): PortProtocol {
  return {
    name: "HTTP",
    // go-micro's first bytes are valid HTTP/1.1, and are treated as HTTP/1.1 when go-micro is off.
    speaks: ["http1", "http2", "go-micro"],
    origins: options.cors?.origins,
    async load({ dispatcher, limits, address, options: listenOptions, access, exchange }) {
      const { HttpProtocolServer } = await import("./protocol-server.ts");
      return new HttpProtocolServer(
        dispatcher,
        limits,
        "http",
        address,
        options,
        listenOptions,
        access,
        exchange,
      );
    },
  };
}
