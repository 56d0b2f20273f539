import { ServiceBroker } from "moleculer";
import { Arrivals } from "../arrivals.ts";
import type { BenchCaller, Contender } from "../contender.ts";

/**
 * Moleculer's TCP transporter, with a fixed list of addresses so that no traffic leaves the
 * machine.
 */
function broker(nodeID: string, port: number, urls: readonly string[]): ServiceBroker {
  return new ServiceBroker({
    nodeID,
    logger: false,
    transporter: { type: "TCP", options: { udpDiscovery: false, port, urls: urls.join(",") } },
  });
}

const serverPort = 30_000 + (process.ppid % 10_000);

async function connect(address: string): Promise<BenchCaller> {
  const arrivals = new Arrivals();
  const client = broker("client", serverPort + 1, [
    `tcp://127.0.0.1:${address}/server`,
    `tcp://127.0.0.1:${serverPort + 1}/client`,
  ]);
  client.createService({ name: "listener", events: { "bench.event": () => arrivals.came() } });
  await client.start();
  await client.waitForServices("bench");
  // The other side must know the listener, or its first events are lost.
  await client.call("bench.knows", {}, { timeout: 10_000 });
  return {
    async unary(payload) {
      const message = { payload: base64(payload) };
      const answer = await client.call<{ payload: string }, typeof message>("bench.echo", message);
      return Buffer.from(answer.payload, "base64").length;
    },
    async publish(payload, count) {
      const all = arrivals.expect(count);
      await client.call("bench.publish", { payload: base64(payload), count });
      return all;
    },
    close: () => client.stop(),
  };
}

/** Its messages are JSON, so bytes are sent as base64, as one of its users would do. */
function base64({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString("base64");
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
      actions: {
        echo: (context: { params: unknown }) => context.params,
        knows: () => server.waitForServices("listener"),
        async publish({ params }: { params: { payload: string; count: number } }) {
          const { payload, count } = params;
          for (let sent = 0; sent < count; sent++) await server.emit("bench.event", { payload });
        },
      },
    });
    await server.start();
    return { address: String(serverPort), close: () => server.stop() };
  },
  connect,
};
