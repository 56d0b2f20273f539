import { jetstreamBroker } from "@micro-es/nats";
import { postgresOutbox } from "@micro-es/postgres";
import { type EventPublisher, silentLogger } from "@micro-es/runtime";
import { Ledger } from "../ledger.ts";

/** Relays an outbox until it is killed, and notes what the broker has accepted. */
const { options, nats, path } = JSON.parse(process.argv[2] ?? "{}") as {
  options: object;
  nats: string;
  path: string;
};
const ledger = new Ledger(path);
const broker = jetstreamBroker({ servers: nats, logger: silentLogger, timeoutMs: 2_000 });
const noting: EventPublisher = {
  async publish(topic, event, given) {
    await broker.publish(topic, event, given);
    ledger.write({ text: Buffer.from(event.body).toString() });
  },
};
const outbox = postgresOutbox(options);
outbox.relay({ broker: noting, batchSize: 20, publishTimeoutMs: 3_000, logger: silentLogger });
process.stdout.write("ready\n");
