import { memoryBroker, silentLogger } from "@micro-es/runtime";
import { Arrivals } from "../arrivals.ts";
import type { Contender } from "../contender.ts";
import { MessageTopic } from "../gen/micro/bench/v1/bench_micro.ts";
import { publishAll } from "../micro-es-events.ts";

/** Both sides live in the calling process; the serving one only satisfies the harness. */
export const contender: Contender = {
  name: "micro-es-events-memory",
  about: "events of a generated topic through the memory broker, in one process",
  serve: async () => ({ address: "", close: async () => {} }),
  async connect() {
    const broker = memoryBroker({ logger: silentLogger });
    const arrivals = new Arrivals();
    await MessageTopic.subscribe(broker, arrivals.came);
    return {
      async publish(payload, count) {
        const all = arrivals.expect(count);
        await publishAll(broker, payload, count);
        return all;
      },
      close: () => broker.close(),
    };
  },
};
