import { createClient, inBatches, memoryRegistry, tcpTransport } from "@micro-es/runtime";
import type { BenchCaller, Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { serveOn } from "../micro-es.ts";

async function connect(address: string): Promise<BenchCaller> {
  const registry = memoryRegistry();
  await registry.register({
    id: "bench-1",
    service: "bench",
    version: "1",
    address,
    metadata: { protocol: "native", transport: "tcp" },
    endpoints: [],
  });
  const client = createClient({ registry, transports: [tcpTransport()] });
  const bench = generated.createBenchServiceClient(client);
  return {
    async download(payload, count) {
      let came = 0;
      for await (const batch of inBatches(bench.download({ payload, number: count }))) {
        for (const _ of batch) came++;
      }
      return came;
    },
    close: () => client.close(),
  };
}

export const contender: Contender = {
  name: "micro-es-batches",
  about: "as micro-es, with a client that reads streams in batches",
  serve: () => serveOn({ generated, transport: tcpTransport() }),
  connect,
};
