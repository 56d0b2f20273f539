import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import type { BenchCaller, Contender } from "../contender.ts";

async function connect(address: string): Promise<BenchCaller> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const post = (payload: Uint8Array, via: Agent) =>
    new Promise<number>((resolve, reject) => {
      const call = request(
        {
          host: "127.0.0.1",
          port: address,
          method: "POST",
          agent: via,
          headers: { "content-length": payload.length },
        },
        (answer) => {
          let length = 0;
          answer
            .on("data", (chunk: Buffer) => {
              length += chunk.length;
            })
            .on("end", () => resolve(length))
            .on("error", reject);
        },
      );
      call.on("error", reject);
      call.end(payload);
    });
  return {
    unary: (payload) => post(payload, agent),
    async connectOnce() {
      const fresh = new Agent({ keepAlive: false });
      await post(new Uint8Array(64), fresh);
      fresh.destroy();
    },
    async close() {
      agent.destroy();
    },
  };
}

export const contender: Contender = {
  name: "node-http",
  about: "node:http, HTTP/1.1 with keep-alive on up to 64 connections, no codec",
  async serve() {
    const server = createServer((call, answer) => {
      const chunks: Buffer[] = [];
      call
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => answer.end(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
      address: String((server.address() as { port: number }).port),
      close: async () => {
        server.closeAllConnections();
        server.close();
      },
    };
  },
  connect,
};
