import { connect as connectNats } from "nats";
import { Arrivals } from "../arrivals.ts";
import type { BenchCaller, Contender } from "../contender.ts";
import { noNatsServer, startNatsServer } from "../nats-server.ts";

async function connect(address: string): Promise<BenchCaller> {
  const servers = `127.0.0.1:${address}`;
  const connection = await connectNats({ servers });
  const arrivals = new Arrivals();
  connection.subscribe("bench.event", { callback: arrivals.came });
  await connection.flush();
  return {
    async unary(payload) {
      const answer = await connection.request("bench.echo", payload, { timeout: 30_000 });
      return answer.data.length;
    },
    async publish(payload, count) {
      const all = arrivals.expect(count);
      connection.publish("bench.publish", payload, { reply: String(count) });
      return all;
    },
    async connectOnce() {
      const fresh = await connectNats({ servers });
      await fresh.request("bench.echo", new Uint8Array(64));
      await fresh.close();
    },
    close: () => connection.close(),
  };
}

export const contender: Contender = {
  name: "nats",
  about: "nats 2.29 through a nats-server: request/reply and publish/subscribe, no codec",
  unavailable: noNatsServer,
  async serve() {
    const nats = await startNatsServer();
    const connection = await connectNats({ servers: `127.0.0.1:${nats.port}` });
    connection.subscribe("bench.echo", {
      callback: (_error, message) => message.respond(message.data),
    });
    connection.subscribe("bench.publish", {
      callback(_error, { data, reply }) {
        for (let left = Number(reply); left > 0; left--) connection.publish("bench.event", data);
      },
    });
    await connection.flush();
    return {
      address: String(nats.port),
      close: async () => {
        await connection.close();
        nats.stop();
      },
    };
  },
  connect,
};
