import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createServer } from "node:net";
import { connect as connectNats } from "nats";
import type { BenchCaller, Contender } from "../contender.ts";

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function connect(address: string): Promise<BenchCaller> {
  const connection = await connectNats({ servers: `127.0.0.1:${address}` });
  let received = () => {};
  connection.subscribe("bench.event", { callback: () => received() });
  await connection.flush();
  return {
    async unary(payload) {
      const answer = await connection.request("bench.echo", payload, { timeout: 30_000 });
      return answer.data.length;
    },
    publish(payload, count) {
      return new Promise((resolve) => {
        let came = 0;
        received = () => {
          if (++came === count) resolve(came);
        };
        for (let index = 0; index < count; index++) connection.publish("bench.event", payload);
      });
    },
    close: () => connection.close(),
  };
}

export const contender: Contender = {
  name: "nats",
  about: "nats 2.29 through a nats-server: request/reply and publish/subscribe, no codec",
  async unavailable() {
    try {
      execFileSync("nats-server", ["--version"], { stdio: "ignore" });
      return undefined;
    } catch {
      return "nats-server is not installed (Debian: apt-get install nats-server)";
    }
  },
  async serve() {
    const port = await freePort();
    const server: ChildProcess = spawn("nats-server", ["-a", "127.0.0.1", "-p", String(port)], {
      stdio: "ignore",
    });
    process.on("exit", () => server.kill());
    const connection = await connectNats({
      servers: `127.0.0.1:${port}`,
      waitOnFirstConnect: true,
      reconnectTimeWait: 50,
    });
    connection.subscribe("bench.echo", {
      callback: (_error, message) => message.respond(message.data),
    });
    await connection.flush();
    return {
      address: String(port),
      close: async () => {
        await connection.close();
        server.kill();
      },
    };
  },
  connect,
};
