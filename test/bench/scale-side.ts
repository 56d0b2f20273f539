import { createServer, memoryRegistry, silentLogger, tcpTransport } from "@micro-es/runtime";
import type { Channel } from "@micro-es/runtime/driver";
import {
  BenchService_echo,
  BenchService_pingPong,
  registerBenchServiceHandler,
} from "./gen/micro/bench/v1/bench_micro.ts";

/**
 * One side of the scale suite, in a separate process: `server`, or the client's task and its
 * target.
 */
const [side = "", address = "", count = "0"] = process.argv.slice(2);
const transport = tcpTransport();
const outgoing = () => ({
  deadline: Number.POSITIVE_INFINITY,
  metadata: undefined,
  signal: undefined,
  responseMetadata: undefined,
  trailers: undefined,
});
const rounds = 10;

if (side === "server") {
  const server = createServer({
    name: "scale",
    registry: memoryRegistry(),
    listen: [{ transport, address: "127.0.0.1:0" }],
    logger: silentLogger,
  });
  registerBenchServiceHandler(server, {
    echo: (request) => request,
    async *download() {},
    async *pingPong(requests) {
      for await (const request of requests) yield request;
    },
  });
  await server.start();
  process.on("message", () => process.send?.(process.memoryUsage.rss()));
  process.send?.(server.addresses[0]);
} else {
  const began = performance.now();
  const run = { connections, streams, reconnects }[side];
  const echoes = await run?.(Number(count));
  process.send?.({ echoes, ms: performance.now() - began });
}

async function connections(wanted: number): Promise<number> {
  const channels: Channel[] = [];
  while (channels.length < wanted) {
    const batch = Array.from({ length: 100 }, () => transport.dial(address));
    channels.push(...(await Promise.all(batch)));
  }
  let echoes = 0;
  for (let round = 0; round < rounds; round++) {
    const answers = await Promise.all(
      channels.map((channel, number) => channel.unary(BenchService_echo, { number }, outgoing())),
    );
    for (const [index, answer] of answers.entries()) if (answer.number === index) echoes++;
  }
  return echoes;
}

async function streams(wanted: number): Promise<number> {
  const channel = await transport.dial(address);
  let echoes = 0;
  const one = async (number: number) => {
    let answered = () => {};
    async function* requests() {
      for (let round = 0; round < rounds; round++) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve;
        });
        yield { number };
        await answer;
        await everybody[round]!.wait();
      }
    }
    for await (const answer of channel.stream(BenchService_pingPong, requests(), outgoing())) {
      if (answer.number === number) echoes++;
      answered();
    }
  };
  const everybody = Array.from({ length: rounds }, () => barrier(wanted));
  await Promise.all(Array.from({ length: wanted }, (_, number) => one(number)));
  await channel.close();
  return echoes;
}

/** Connects, calls once and disconnects, a hundred at a time. */
async function reconnects(wanted: number): Promise<number> {
  let echoes = 0;
  for (let done = 0; done < wanted; done += 100) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, number) => {
        const channel = await transport.dial(address);
        const answer = await channel.unary(BenchService_echo, { number }, outgoing());
        if (answer.number === number) echoes++;
        await channel.close();
      }),
    );
  }
  return echoes;
}

/** Blocks until all have arrived, so that all streams are open at once. */
function barrier(wanted: number): { wait(): Promise<void> } {
  let come = 0;
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    wait() {
      if (++come === wanted) open();
      return opened;
    },
  };
}
