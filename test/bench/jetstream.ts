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

const { values } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    events: { type: "string", default: "6000" },
    rounds: { type: "string", default: "7" },
  },
});
const events = Number(values.events);
const rounds = Number(values.rounds);
/** Publications without a response. */
const underWay = 128;
/** The least share of the events a second of nats.js. */
const goal = 0.8;

interface Round {
  readonly perSecond: number;
  readonly cpuUs: number;
}

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

async function inWindows(count: number, publish: () => Promise<unknown>): Promise<void> {
  for (let sent = 0; sent < count; sent += underWay) {
    const size = Math.min(underWay, count - sent);
    await Promise.all(Array.from({ length: size }, publish));
  }
}

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

async function measure(move: (count: number) => Promise<void>, count: number): Promise<Round> {
  const before = process.cpuUsage();
  const began = performance.now();
  await move(count);
  const elapsedMs = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  return { perSecond: (count / elapsedMs) * 1_000, cpuUs: (user + system) / count };
}

/** Rounds of both in turn, so that noise affects both alike. */
async function compare(
  what: string,
  alone: (count: number) => Promise<void>,
  ours: (count: number) => Promise<void>,
  count: number,
): Promise<boolean> {
  const found: { readonly alone: Round[]; readonly ours: Round[] } = { alone: [], ours: [] };
  for (let round = 0; round < rounds; round++) {
    found.alone.push(await measure(alone, count));
    found.ours.push(await measure(ours, count));
  }
  const share = median(found.ours, "perSecond") / median(found.alone, "perSecond");
  const side = (name: string, all: readonly Round[]) =>
    `${name} ${Math.round(median(all, "perSecond"))} a second, ${median(all, "cpuUs").toFixed(1)} µs CPU`;
  const verdict = share >= goal ? "reached" : "MISSED ";
  console.log(
    `${verdict}  ${what}, of nats.js: ${share.toFixed(2)} (at least ${goal}); ${side("nats.js", found.alone)}; ${side("micro-es", found.ours)}`,
  );
  return share >= goal;
}

function median(all: readonly Round[], figure: keyof Round): number {
  const sorted = all.map((round) => round[figure]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

try {
  await publishAlone(events);
  await publishEvents(events);
  const publishing = await compare(
    `publishing with ${underWay} under way`,
    publishAlone,
    publishEvents,
    events,
  );
  const stored = (1 + rounds) * events;
  const consuming = await compare("consuming", consumeAlone, consumeEvents, stored);
  if (values.check && !(publishing && consuming)) process.exitCode = 1;
} finally {
  await broker.close();
  await connection.close();
  server.stop();
  rmSync(folder, { recursive: true, force: true });
}
