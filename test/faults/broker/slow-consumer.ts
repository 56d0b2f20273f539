import { setTimeout as sleep } from "node:timers/promises";
import { brokerAt } from "./backend.ts";

/** A member of a queue group that reports the beginning and end of each handling. */
const { url, ackWaitMs, handlerMs } = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  ackWaitMs: number;
  handlerMs: number;
};
const broker = brokerAt(url, { ackWaitMs });
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
