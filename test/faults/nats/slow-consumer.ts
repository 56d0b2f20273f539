import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "@micro-es/runtime";
import { jetstreamBroker } from "@micro-es/runtime/broker/jetstream";

/** A member of a queue group that says when it begins and when it ends each handling. */
const { servers, ackWaitMs, handlerMs } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  ackWaitMs: number;
  handlerMs: number;
};
const broker = jetstreamBroker({ servers, ackWaitMs, logger: silentLogger });
process.stdout.write("ready\n");
await broker.subscribe(
  "work",
  async () => {
    process.stdout.write("begins\n");
    await sleep(handlerMs);
    process.stdout.write("ends\n");
  },
  { queue: "workers" },
);
setInterval(() => {}, 60_000);
