import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Attack } from "../attack.ts";

const values = ",".repeat(14_000);

export const attack: Attack = {
  protocol: "client: HTTP",
  description:
    "headers and trailers of 14,000 commas, each of which begins another value of metadata",
  bounds: { cpuMsPerMB: 1_000, heldPerByte: 40 },
  async run(target) {
    const server = createServer({ settings: { maxHeaderListSize: 65_536 } });
    server.on("session", (session) => session.on("error", () => undefined));
    let inTrailers = false;
    server.on("stream", (stream) => {
      stream.on("error", () => undefined);
      target.count(values.length);
      const header = { ":status": 200, "content-type": "application/grpc+proto" };
      stream.respond(inTrailers ? header : { ...header, "x-bin": values }, {
        waitForTrailers: true,
      });
      stream.on("wantTrailers", () =>
        stream.sendTrailers({ "grpc-status": "0", ...(inTrailers && { "x-bin": values }) }),
      );
      stream.end(Buffer.alloc(5));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      for (let call = 0; call < 40; call++) {
        inTrailers = call % 2 === 1;
        const method = call % 4 < 2 ? "say" : "watch";
        const { code, message } = await target.call({ method, address, timeoutMs: 5_000 });
        if (code === "resource_exhausted" && message?.includes("128 entries")) continue;
        throw new Error(`${method} ended with ${code}: ${message}`);
      }
    } finally {
      server.close();
    }
  },
};
