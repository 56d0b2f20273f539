import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Attack } from "../attack.ts";
import { inflatingMessage } from "../wire/grpc.ts";

const responses = Buffer.concat(Array.from({ length: 128 }, () => inflatingMessage(4)));

export const attack: Attack = {
  protocol: "client: HTTP",
  description: "gRPC stream and unary responses of messages of 4 KB that inflate to 4 MiB each",
  bounds: { cpuMsPerMB: 4_000, heldPerByte: 40 },
  heapMB: 2_048,
  async run(target) {
    const server = createServer();
    server.on("session", (session) => session.on("error", () => undefined));
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => undefined);
      stream.respond({
        ":status": 200,
        "content-type": "application/grpc+proto",
        "grpc-encoding": "gzip",
      });
      stream.write(responses);
      target.count(responses.length);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      for (const method of ["watch", "say"] as const) {
        const { code, tookMs } = await target.call({ method, address, timeoutMs: 2_000 });
        if (code !== "resource_exhausted") throw new Error(`${method} ended with ${code}`);
        if (tookMs > 10_000) throw new Error(`${method} was open for ${tookMs} ms`);
      }
    } finally {
      server.close();
    }
  },
};
