import { join } from "node:path";
import { silentLogger } from "@micro-es/runtime";
import { jetstreamBroker } from "@micro-es/runtime/broker/jetstream";
import { Ledger } from "../ledger.ts";

/** A member of a queue group that writes down what it handled, until it is killed. */
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
