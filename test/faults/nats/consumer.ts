import { join } from "node:path";
import { jetstreamBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { Ledger } from "../ledger.ts";

/** A member of a queue group that records the events it handled, until it is killed. */
const { servers, directory, maxInFlight } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  directory: string;
  maxInFlight: number;
};
const ledger = new Ledger(join(directory, `consumer-${process.pid}.ledger`));
const broker = jetstreamBroker({ servers, ackWaitMs: 2_000, logger: silentLogger });
await broker.subscribe("work", (event) => ledger.write({ id: event.id }), {
  queue: "workers",
  maxInFlight,
});
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
