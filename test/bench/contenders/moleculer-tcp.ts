import { ServiceBroker } from "moleculer";
import type { BenchCaller, Contender } from "../contender.ts";

/** Moleculer's TCP transporter, found by a fixed list of addresses so that nothing leaves the machine. */
function broker(nodeID: string, port: number, urls: readonly string[]): ServiceBroker {
  return new ServiceBroker({
    nodeID,
    logger: false,
    transporter: { type: "TCP", options: { udpDiscovery: false, port, urls: urls.join(",") } },
  });
}

const serverPort = 30_000 + (process.ppid % 10_000);

async function connect(address: string): Promise<BenchCaller> {
  const client = broker("client", serverPort + 1, [
    `tcp://127.0.0.1:${address}/server`,
    `tcp://127.0.0.1:${serverPort + 1}/client`,
  ]);
  await client.start();
  await client.waitForServices("bench");
  return {
    async unary(payload) {
      const message = {
        payload: Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("base64"),
      };
      const answer = await client.call<{ payload: string }, typeof message>("bench.echo", message);
      return Buffer.from(answer.payload, "base64").length;
    },
    close: () => client.stop(),
  };
}

export const contender: Contender = {
  name: "moleculer-tcp",
  about: "Moleculer over TCP, JSON",
  async serve() {
    const server = broker("server", serverPort, [
      `tcp://127.0.0.1:${serverPort}/server`,
      `tcp://127.0.0.1:${serverPort + 1}/client`,
    ]);
    server.createService({
      name: "bench",
      actions: { echo: (context: { params: unknown }) => context.params },
    });
    await server.start();
    return { address: String(serverPort), close: () => server.stop() };
  },
  connect,
};
