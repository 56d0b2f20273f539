import { memoryTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, serveOn } from "../micro-es.ts";

/** Both sides live in the calling process; the serving one only satisfies the harness. */
export const contender: Contender = {
  name: "micro-es-memory",
  about: "as micro-es, through the memory transport in one process",
  serve: async () => ({ address: "memory:bench", close: async () => {} }),
  async connect(address) {
    const setup = { generated, transport: memoryTransport() };
    const server = await serveOn(setup, address);
    const caller = await callOver(setup, address);
    return {
      ...caller,
      async close() {
        await caller.close();
        await server.close();
      },
    };
  },
};
