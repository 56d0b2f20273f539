import { join } from "node:path";
import { Ledger } from "../ledger.ts";
import { brokerAt } from "./backend.ts";

/** A member of a queue group that records the events it handled, until it is killed. */
const { url, directory, maxInFlight } = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  directory: string;
  maxInFlight: number;
};
const ledger = new Ledger(join(directory, `consumer-${process.pid}.ledger`));
const broker = brokerAt(url, { ackWaitMs: 2_000 });
await broker.subscribe("work", (event) => ledger.write({ id: event.id }), {
  queue: "workers",
  maxInFlight,
});
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
