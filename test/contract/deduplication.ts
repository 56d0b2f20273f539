import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@micro-es/runtime";
import { type BrokerCase, Gate, sum, textEvent, textOf, until } from "./broker-stage.ts";

/**
 * An event has one successful handling, however often it is delivered. The stores stay open,
 * because subscriptions use them until the stage closes.
 */
export const deduplicationCases: readonly BrokerCase[] = [
  [
    "handles an event once that is published again, if it deduplicates",
    2,
    async (stage, one, two) => {
      const store = memoryStore();
      const options = { queue: "g", deduplicate: { store, ttlMs: 60_000 } };
      const handled: string[] = [];
      const subscriptions = await Promise.all(
        [one, two].map((broker) =>
          broker.subscribe("again", (event) => void handled.push(textOf(event)), options),
        ),
      );
      await stage.settle();
      for (let round = 0; round < 3; round++) {
        for (const id of ["x", "y", "z"]) await one.publish("again", { ...textEvent(id), id });
      }
      await one.publish("again", textEvent("last"));
      // The last one may overtake others where no order is promised.
      await until(() => handled.length >= 4 && waiting(subscriptions) === 0);
      assert.deepEqual(handled.sort(), ["last", "x", "y", "z"]);
      assert.equal(sum(subscriptions, "delivered"), 4);
      assert.equal(sum(subscriptions, "rejected"), 0);
    },
  ],
  [
    "handles an event once whose copies arrive at once, if it deduplicates",
    2,
    async (stage, one, two) => {
      const store = memoryStore();
      const options = { queue: "g", deduplicate: { store, ttlMs: 60_000 } };
      const gate = new Gate();
      let [begun, ended] = [0, 0];
      const handler = async () => {
        begun++;
        await gate.opened;
        ended++;
      };
      const subscriptions = await Promise.all(
        [one, two].map((broker) => broker.subscribe("copies", handler, options)),
      );
      await stage.settle();
      for (let copy = 0; copy < 6; copy++) {
        await one.publish("copies", { ...textEvent("x"), id: "x" });
      }
      await until(() => begun === 1);
      // Copies look for the end of the first handling meanwhile.
      await sleep(100);
      gate.open();
      await until(() => ended === 1 && waiting(subscriptions) === 0);
      assert.equal(begun, 1);
      assert.equal(sum(subscriptions, "delivered"), 1);
    },
  ],
  [
    "handles an event again after a failure, and then no more, if it deduplicates",
    2,
    async (stage, one, two) => {
      if (!one.guarantees.redelivery) return;
      const store = memoryStore();
      const deduplicate = { store, ttlMs: 60_000 };
      let attempts = 0;
      const subscriptions = await Promise.all(
        [one, two].map((broker) =>
          broker.subscribe(
            "fails",
            () => {
              if (++attempts < 3) throw new Error("not yet");
            },
            { queue: "g", redeliveryBackoffMs: 1, deduplicate },
          ),
        ),
      );
      await stage.settle();
      await one.publish("fails", { ...textEvent("x"), id: "x" });
      await until(() => sum(subscriptions, "delivered") === 1);
      await one.publish("fails", { ...textEvent("x"), id: "x" });
      await until(() => waiting(subscriptions) === 0);
      assert.equal(attempts, 3);
      assert.equal(sum(subscriptions, "delivered"), 1);
    },
  ],
  [
    "handles an event once whose handler outlives its subscription, if it deduplicates",
    2,
    async (stage, one, two) => {
      if (two.guarantees.delivery !== "at-least-once" || !keepsEvents(two.guarantees)) return;
      const store = memoryStore();
      const options = { queue: "g", deduplicate: { store, ttlMs: 60_000 } };
      const gate = new Gate();
      let [begun, ended] = [0, 0];
      const handler = async () => {
        begun++;
        await gate.opened;
        ended++;
      };
      const member = stage.join({ closeGraceMs: 10 });
      await member.subscribe("outlived", handler, options);
      await stage.settle();
      await one.publish("outlived", { ...textEvent("x"), id: "x" });
      await until(() => begun === 1);
      const successor = await two.subscribe("outlived", handler, options);
      await member.close();
      gate.open();
      await until(() => successor.stats.duplicates === 1);
      assert.deepEqual([begun, ended], [1, 1]);
    },
  ],
];

function keepsEvents({ durability }: { readonly durability: string }): boolean {
  return durability !== "none";
}

function waiting(subscriptions: Parameters<typeof sum>[0]): number {
  return sum(subscriptions, "pending") + sum(subscriptions, "inFlight");
}
