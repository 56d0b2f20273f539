import type { PortProtocol } from "../transport/port/protocol-server.ts";
import type { GoMicroServeOptions } from "./protocol-server.ts";

/** go-micro's RPC over its HTTP transport, as a protocol of a port (docs/go-micro.md). */
export function goMicroProtocol(options: GoMicroServeOptions): PortProtocol {
  return {
    name: "go-micro",
    speaks: ["go-micro"],
    exchanges: true,
    async load({ dispatcher, limits, address, options: listenOptions, access, handBack }) {
      const { GoMicroProtocolServer } = await import("./protocol-server.ts");
      return new GoMicroProtocolServer(
        dispatcher,
        limits,
        "go-micro",
        address,
        options,
        listenOptions,
        access,
        handBack,
      );
    },
  };
}
