import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";

/** A member of a queue group that reports the beginning and end of each handling. */
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
