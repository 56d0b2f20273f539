import { randomUUID } from "node:crypto";
import { brokerContract, type CreateBrokers } from "@micro-es/contract/broker";
import { pubsubBroker } from "@micro-es/pubsub";
import { type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PubSubServer, skipWithoutPubSub, startPubSub } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutPubSub)("a broker on Pub/Sub", () => {
  let server: PubSubServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startPubSub();
  });
  afterAll(() => server?.close());

  const brokersOf =
    (ordering: "none" | "key"): CreateBrokers =>
    async (count) => {
      const project = `fleet-${String(fleets++).padStart(4, "0")}`;
      const options = { project, emulator: server.address, ordering, logger };
      // The fake takes requests of 4 MiB.
      const maxEventBytes = 4_000_000;
      const join = (more: object = {}) => pubsubBroker({ ...options, maxEventBytes, ...more });
      return { brokers: Array.from({ length: count }, () => join()), join };
    };

  // The fake offers each of its ticks' events to the first member first, and so would use one only.
  const usesAllMembers = /uses all members/;
  describe.each(["none", "key"] as const)("with ordering: %s", (ordering) => {
    for (const { name, run } of brokerContract(brokersOf(ordering))) {
      if (!usesAllMembers.test(name)) test.concurrent(name, run);
    }
  });

  test("gives an event to one member of a queue group, and uses all members", async () => {
    const { brokers } = await brokersOf("none")(3);
    const handled = new Map<string, number>();
    const used = new Set<number>();
    const members = brokers.flatMap((broker) => [broker, broker]);
    for (const [index, broker] of members.entries()) {
      const take = ({ id }: IncomingEvent) => {
        used.add(index);
        handled.set(id, (handled.get(id) ?? 0) + 1);
      };
      await broker.subscribe("work", take, { queue: "workers" });
    }
    const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
    // Published in the same turn, they are in one request.
    await expect
      .poll(async () => {
        const ids = Array.from({ length: 60 }, () => randomUUID());
        await Promise.all(ids.map((id) => brokers[0]?.publish("work", { ...event, id })));
        await expect.poll(() => ids.every((id) => handled.has(id))).toBe(true);
        return used.size;
      })
      .toBe(members.length);
    expect(new Set(handled.values())).toEqual(new Set([1]));
    await Promise.all(brokers.map((broker) => broker.close()));
  });
});
