import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker, natsBroker } from "@micro-es/nats";
import { type Broker, memoryBroker, type Subscription, silentLogger } from "@micro-es/runtime";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

const event = { body: Buffer.alloc(1_000), contentType: "text/plain", typeName: "" };

/**
 * One of ten subscribers of core NATS takes a hundred times as long; the others and the process
 * must not be affected.
 */
export async function slowSubscriber(length: Length): Promise<Figure> {
  const runMs = length === "long" ? 60_000 : 6_000;
  const maxPending = 500;
  await using server = await startNats();
  const options = { servers: server.url, logger: silentLogger };
  await using publisher = natsBroker(options);
  await using subscriber = natsBroker(options);
  await using slowOne = natsBroker(options);
  const counts = new Array<number>(9).fill(0);
  for (const index of counts.keys()) {
    await subscriber.subscribe("work", () => void counts[index]!++, { maxPending });
  }
  const slow = await slowOne.subscribe("work", () => sleep(100), { maxPending, maxInFlight: 1 });
  let published = 0;
  let mostPending = 0;
  const end = performance.now() + runMs;
  while (performance.now() < end) {
    for (let burst = 0; burst < 20; burst++, published++) await publisher.publish("work", event);
    mostPending = Math.max(mostPending, slow.stats.pending);
    await sleep(10);
  }
  const least = Math.min(...counts) / published;
  const seen = () => {
    const { delivered, dropped, pending, inFlight } = slow.stats;
    return delivered + dropped + pending + inFlight;
  };
  await until(() => seen() === published && counts.every((count) => count === published), 10_000);
  const { dropped } = slow.stats;
  return {
    id: "B5",
    recipe: `${published} events to ten subscribers in ${runMs / 1_000} s, one of which takes 100 ms each`,
    found: `the other nine had at least ${Math.floor(least * 100)} % when the last was published, ${mostPending} waited at most for the slow one, ${seen()} of ${published} accounted for, ${dropped} of them dropped`,
    bound: `90 %, ${maxPending}, all, more than 0`,
    holds: least >= 0.9 && mostPending <= maxPending && seen() === published && dropped > 0,
  };
}

/**
 * Subscribers that throw and that never end, together with two that work, on every broker that
 * needs no network of its own.
 */
export async function hostileSubscribers(length: Length): Promise<Figure> {
  const count = length === "long" ? 20_000 : 1_000;
  const maxPending = 100;
  await using server = await startNats();
  const options = { servers: server.url, logger: silentLogger, closeGraceMs: 100 };
  const brokers: Broker[] = [
    memoryBroker({ logger: silentLogger, closeGraceMs: 100 }),
    natsBroker(options),
    jetstreamBroker(options),
  ];
  let [missed, failed, mostPending] = [0, 0, 0];
  for (const broker of brokers) {
    const counts = [0, 0];
    const hostile: Subscription[] = [
      await broker.subscribe(
        "work",
        () => {
          throw new Error("always");
        },
        { maxPending, redeliveryBackoffMs: 1 },
      ),
      await broker.subscribe("work", () => new Promise<void>(() => {}), { maxPending }),
    ];
    for (const index of counts.keys()) {
      await broker.subscribe("work", () => void counts[index]!++, { maxPending: 2 * count });
    }
    for (let at = 0; at < count; at += 50) {
      const publishing = Array.from({ length: 50 }, () =>
        broker.publish("work", event).catch(() => failed++),
      );
      await Promise.all(publishing);
      for (const { stats } of hostile) mostPending = Math.max(mostPending, stats.pending);
    }
    await until(() => counts.every((seen) => seen === count), 20_000);
    for (const seen of counts) missed += count - seen;
    await broker.close();
  }
  return {
    id: "B12",
    recipe: `${count} events on the memory, core NATS and JetStream brokers, to one subscriber that throws, one that hangs and two that work`,
    found: `${missed} missed by those that work, ${failed} publications failed, ${mostPending} waited at most for a hostile one`,
    bound: `0, 0, ${maxPending}`,
    holds: missed === 0 && failed === 0 && mostPending <= maxPending,
  };
}
