/**
 * Publishing to JetStream with 128 under way, and consuming from it, in one process, alternating
 * with nats.js alone: `npm run bench -- jetstream [--check] [--events N] [--rounds N]`. With
 * `--check` the status is 1 when a goal is missed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { jetstreamBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { AckPolicy, connect, DeliverPolicy, StorageType } from "nats";
import { MessageTopic } from "./gen/micro/bench/v1/bench_micro.ts";
import { noNatsServer, startNatsServer } from "./nats-server.ts";
import { compare, inWindows, measure, underWay } from "./side-by-side.ts";

const { values } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    events: { type: "string", default: "6000" },
    rounds: { type: "string", default: "7" },
  },
});
const events = Number(values.events);
const rounds = Number(values.rounds);
const missing = await noNatsServer();
if (missing !== undefined) throw new Error(missing);
const folder = mkdtempSync(join(tmpdir(), "micro-es-jetstream-"));
const server = await startNatsServer("-js", "-sd", folder);
const servers = `127.0.0.1:${server.port}`;
const connection = await connect({ servers });
const jetstream = connection.jetstream();
const manager = await connection.jetstreamManager();
await manager.streams.add({ name: "ALONE", subjects: ["alone.>"], storage: StorageType.Memory });
const broker = jetstreamBroker({ servers, logger: silentLogger, storage: "memory" });
/** As long as the encoded message that the broker publishes. */
const body = new Uint8Array(131).fill(7);
const payload = new Uint8Array(128).fill(7);
let published = 0;

const publishAlone = (count: number) =>
  inWindows(count, () => jetstream.publish("alone.event", body, { msgID: `event-${published++}` }));
const publishEvents = (count: number) =>
  inWindows(count, () => MessageTopic.publish(broker, { payload }));

/** Consumes by the library's own defaults, and acknowledges each message. */
async function consumeAlone(count: number): Promise<void> {
  const { name } = await manager.consumers.add("ALONE", {
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
  });
  const consumer = await jetstream.consumers.get("ALONE", name);
  let left = count;
  let end = () => {};
  const all = new Promise<void>((resolve) => {
    end = resolve;
  });
  const messages = await consumer.consume({
    callback(message) {
      message.ack();
      if (--left === 0) end();
    },
  });
  await all;
  await messages.close();
  await manager.consumers.delete("ALONE", name);
}

async function consumeEvents(count: number): Promise<void> {
  let left = count;
  let end = () => {};
  const all = new Promise<void>((resolve) => {
    end = resolve;
  });
  const handler = () => {
    if (--left === 0) end();
  };
  const subscription = await MessageTopic.subscribe(broker, handler, { from: "first" });
  await all;
  await subscription.close();
}

try {
  await publishAlone(events);
  await publishEvents(events);
  const measured = (move: (count: number) => Promise<void>) => (count: number) =>
    measure(move, count);
  const publishing = await compare(
    `publishing with ${underWay} under way`,
    "nats.js",
    { alone: measured(publishAlone), ours: measured(publishEvents) },
    events,
    rounds,
  );
  const consuming = await compare(
    "consuming",
    "nats.js",
    { alone: measured(consumeAlone), ours: measured(consumeEvents) },
    (1 + rounds) * events,
    rounds,
  );
  if (values.check && !(publishing && consuming)) process.exitCode = 1;
} finally {
  await broker.close();
  await connection.close();
  server.stop();
  rmSync(folder, { recursive: true, force: true });
}
