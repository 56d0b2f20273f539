import type { Client, Transport } from "@micro-es/runtime";
import {
  createClient,
  createServer,
  memoryBroker,
  memoryRegistry,
  tcpTransport,
} from "@micro-es/runtime";
import {
  type BenchServiceHandler,
  createBenchServiceClient,
  MessageTopic,
  registerBenchServiceHandler,
} from "../../gen/micro/bench/v1/bench_micro.ts";
import type { BenchCaller, BenchServer, Contender } from "../contender.ts";

/** What a user writes: a class that implements the generated interface. */
class Bench implements BenchServiceHandler {
  echo(request: { payload: Uint8Array; number: number }) {
    return request;
  }
  async *download({ payload, number }: { payload: Uint8Array; number: number }) {
    for (let index = 1; index <= number; index++) yield { payload, number: index };
  }
  async *pingPong(requests: AsyncIterable<{ payload: Uint8Array; number: number }>) {
    for await (const request of requests) yield request;
  }
}

const registry = memoryRegistry();

export async function serveOn(transport: Transport, address: string): Promise<BenchServer> {
  const server = createServer({ name: "bench", registry, listen: [{ transport, address }] });
  registerBenchServiceHandler(server, new Bench());
  await server.start();
  return { address: server.addresses[0] ?? "", close: () => server.close() };
}

/** The full path: a generated client that calls by service name through the selector. */
export async function callOver(transport: Transport, address: string): Promise<BenchCaller> {
  await registry.register({
    id: "bench-1",
    service: "bench",
    version: "1",
    address,
    metadata: { protocol: transport.protocol, transport: transport.name },
    endpoints: [],
  });
  const client: Client = createClient({ registry, transports: [transport] });
  const bench = createBenchServiceClient(client);
  const broker = memoryBroker();
  let received = () => {};
  await MessageTopic.subscribe(broker, () => received());
  return {
    async unary(payload) {
      return (await bench.echo({ payload })).payload.length;
    },
    async download(payload, count) {
      let came = 0;
      for await (const _ of bench.download({ payload, number: count })) came++;
      return came;
    },
    async pingPong(payload, count) {
      let answered = () => {};
      async function* requests() {
        for (let index = 0; index < count; index++) {
          const answer = new Promise<void>((resolve) => {
            answered = resolve;
          });
          yield { payload };
          await answer;
        }
      }
      let came = 0;
      for await (const _ of bench.pingPong(requests())) {
        came++;
        answered();
      }
      return came;
    },
    publish(payload, count) {
      return new Promise((resolve, reject) => {
        let came = 0;
        received = () => {
          if (++came === count) resolve(came);
        };
        const all = Array.from({ length: count }, () => MessageTopic.publish(broker, { payload }));
        Promise.all(all).catch(reject);
      });
    },
    async connectOnce() {
      const fresh = createClient({ registry, transports: [transport] });
      await createBenchServiceClient(fresh).echo({ payload: new Uint8Array(64) });
      await fresh.close();
    },
    async close() {
      await client.close();
      await broker.close();
    },
  };
}

export const contender: Contender = {
  name: "micro-es",
  about: "generated client by service name, over TCP, codecs as generated",
  serve: () => serveOn(tcpTransport(), "127.0.0.1:0"),
  connect: (address) => callOver(tcpTransport(), address),
};
