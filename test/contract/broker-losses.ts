import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Broker, DeadLetters } from "@micro-es/runtime";
import { abortAt, abortMoments } from "./abort-moments.ts";
import { type BrokerCase, counted, textEvent, textOf, until } from "./broker-stage.ts";
import { HandlingLedger } from "./handling-ledger.ts";

/** No event that a broker promised to deliver is lost, whatever happens to its subscribers. */
export const lossCases: readonly BrokerCase[] = [
  [
    "handles more events of one key than may wait, each once",
    2,
    async (stage, one, two) => {
      if (two.guarantees.delivery !== "at-least-once") return;
      const ledger = new HandlingLedger();
      const options = { queue: "g", maxPending: 4 };
      const subscription = await two.subscribe(
        "busy.key",
        ledger.handler(() => sleep(2)),
        options,
      );
      await stage.settle();
      await publish(ledger, one, "busy.key", 60, () => "customer-1");
      await until(() => ledger.isSettled());
      ledger.check(1);
      await until(() => subscription.stats.delivered === 60);
      assert.equal(subscription.stats.rejected, 0);
    },
  ],
  [
    "loses nothing and counts attempts while members of a group stop while handling",
    2,
    async (stage, one, two) => {
      if (two.guarantees.delivery !== "at-least-once") return;
      const ledger = new HandlingLedger();
      const group = { queue: "g", maxDeliveries: 8, redeliveryBackoffMs: 1 };
      await two.subscribe(
        "stops",
        ledger.handler(() => sleep(5)),
        { ...group, maxInFlight: 2 },
      );
      const publishing = async () => {
        await stage.settle();
        await publish(ledger, one, "stops", 120, (index) => (index % 3 === 0 ? "key" : undefined));
      };
      const stopping = async () => {
        for (let round = 0; round < 6; round++) {
          const member = stage.join({ closeGraceMs: 10 });
          const options = { ...group, maxInFlight: 3 };
          const stuck = await member.subscribe("stops", ledger.handler(forever), options);
          const giveUp = performance.now() + 500;
          while (stuck.stats.inFlight === 0 && performance.now() < giveUp) await sleep(2);
          await member.close();
        }
      };
      await Promise.all([publishing(), stopping()]);
      await until(() => ledger.isSettled());
      if (countsElsewhere(two)) ledger.check(group.maxDeliveries);
    },
  ],
  [
    "keeps the events of a group whose only member stops, and counts only those that were handled",
    1,
    async (stage, one) => {
      const { deadLetters } = one;
      if (one.guarantees.durability === "none" || deadLetters === undefined) return;
      const ledger = new HandlingLedger();
      const options = { queue: "g", maxInFlight: 1, maxDeliveries: 3 };
      await (await one.subscribe("only", () => {}, options)).close();
      // Of events with different keys, or none, another may be handled first after each restart.
      await publish(ledger, one, "only", 2, () => "key");
      for (let restart = 0; restart < 3; restart++) {
        const member = stage.join({ closeGraceMs: 10 });
        let begun = false;
        const stick = () => {
          begun = true;
          return forever();
        };
        await member.subscribe("only", ledger.handler(stick), options);
        await until(() => begun);
        await member.close();
      }
      if (countsElsewhere(one)) {
        assert.deepEqual(ledger.attempts("only-0"), [1, 2, 3]);
        assert.deepEqual(ledger.attempts("only-1"), []);
      }
      await one.subscribe(
        "only",
        ledger.handler(() => {}),
        options,
      );
      await until(async () => ledger.isSettled(await idsOf(deadLetters, "only.dead")));
      if (countsElsewhere(one)) {
        ledger.check(options.maxDeliveries, await idsOf(deadLetters, "only.dead"));
      } else assert.equal(ledger.timesHandled("only-0"), 1);
      assert.equal(ledger.timesHandled("only-1"), 1);
    },
  ],
  [
    "keeps an event that exhausted its attempts without a dead letter topic, if it keeps dead letters",
    2,
    async (stage, one, two) => {
      const { deadLetters } = two;
      if (deadLetters === undefined) return;
      const ledger = new HandlingLedger();
      const options = { queue: "q", maxDeliveries: 2, redeliveryBackoffMs: 1 };
      let canPay = false;
      const pay = () => {
        if (!canPay) throw new Error("cannot be paid");
      };
      await one.subscribe("bills", ledger.handler(pay), options);
      await stage.settle();
      await publish(ledger, one, "bills", 3);
      await until(async () => (await idsOf(deadLetters, "bills.dead")).length === 3);
      ledger.check(2, await idsOf(deadLetters, "bills.dead"));

      // A dead letter that fails again is already a dead letter.
      const reading = await one.subscribe("bills.dead", () => Promise.reject(new Error()), options);
      await stage.settle();
      await one.publish("bills", { ...textEvent("late"), id: "late" });
      ledger.published("late");
      await until(() => reading.stats.rejected === 1);
      assert.deepEqual(await deadLetters.topics(), [{ topic: "bills.dead", count: 4 }]);

      canPay = true;
      for await (const { cursor } of deadLetters.list("bills.dead")) {
        await deadLetters.replay("bills.dead", cursor);
      }
      await until(() => ledger.isSettled());
      assert.deepEqual(await idsOf(deadLetters, "bills.dead"), []);
    },
  ],
  [
    "closes a subscription that its own handler closes and waits for",
    1,
    async (stage, one) => {
      const member = stage.join({ closeGraceMs: 60_000 });
      for (const pauseMs of [undefined, 5]) {
        const topic = `closes.itself.${pauseMs ?? 0}`;
        let closed = 0;
        const subscription = await member.subscribe(topic, async () => {
          if (pauseMs !== undefined) await sleep(pauseMs);
          await subscription.close();
          closed++;
        });
        await stage.settle();
        await one.publish(topic, textEvent("x"));
        await until(() => closed === 1 && subscription.stats.delivered === 1);
        await subscription.close();
      }
    },
  ],
  [
    "settles the event of a handler that closes its subscription while another one hangs",
    2,
    async (stage, one, two) => {
      const member = stage.join({ closeGraceMs: 200 });
      const options = { queue: "g", redeliveryBackoffMs: 1 };
      let hangs = false;
      let closed = false;
      const subscription = await member.subscribe(
        "hangs",
        async (event) => {
          if (textOf(event) === "hangs") {
            hangs = true;
            await forever();
          }
          await until(() => hangs);
          await subscription.close();
          closed = true;
        },
        options,
      );
      await stage.settle();
      for (const text of ["hangs", "closes"]) await one.publish("hangs", textEvent(text));
      await until(() => closed && subscription.stats.delivered === 1);
      await subscription.close();

      const next = stage.collect();
      await two.subscribe("hangs", next.take, options);
      await stage.settle();
      await one.publish("hangs", textEvent("next"));
      await until(() => next.events.some((event) => textOf(event) === "next"));
      assert.ok(!next.events.some((event) => textOf(event) === "closes"));
    },
  ],
  [
    "settles the events of handlers that close their broker and wait for it",
    2,
    async (stage, one, two) => {
      const member = stage.join({ closeGraceMs: 60_000 });
      const options = { queue: "g", redeliveryBackoffMs: 1, maxInFlight: 4 };
      const topics = ["closes.broker.a", "closes.broker.b"];
      let begun = 0;
      const handled: string[] = [];
      const closing = (topic: string) => async () => {
        begun++;
        await until(() => begun === topics.length);
        await member.close();
        handled.push(topic);
      };
      const members = await Promise.all(
        topics.map((topic) => member.subscribe(topic, closing(topic), options)),
      );
      await stage.settle();
      for (const topic of topics) await one.publish(topic, textEvent("first"));
      await until(() => handled.length === topics.length);
      await member.close();
      for (const { stats } of members) assert.deepEqual(stats, counted({ delivered: 1 }));

      // Unsettled events would be delivered to the next member of the group first.
      for (const topic of topics) {
        const next = stage.collect();
        await two.subscribe(topic, next.take, options);
        await stage.settle();
        await one.publish(topic, textEvent("second"));
        await until(() => next.events.length > 0);
        assert.deepEqual(next.events.map(textOf), ["second"]);
      }
    },
  ],
  [
    "rejects a publication at once when its signal aborts, at whatever stage",
    2,
    async (stage, one, two) => {
      await two.subscribe("aborted", () => {});
      await stage.settle();
      const publishing = (signal: AbortSignal) =>
        one.publish("aborted", { ...textEvent(""), body: new Uint8Array(100_000) }, { signal });
      // A publication that has already succeeded may report success.
      const expected = { outcomes: ["not-executed", "unknown"], leaves: false } as const;
      for (const moment of abortMoments) await abortAt(moment, publishing, expected);
    },
  ],
];

/**
 * Whether a member counts on from the attempts of another one. A broker without a backend passes
 * the count on within the process; one that keeps events in a backend must also keep the count.
 */
function countsElsewhere({ guarantees: { attempts, durability } }: Broker): boolean {
  return attempts === "backend" || durability === "none";
}

/** Publishes events whose ids consist of the topic and a number. */
async function publish(
  ledger: HandlingLedger,
  broker: Broker,
  topic: string,
  count: number,
  key: (index: number) => string | undefined = () => undefined,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const id = `${topic}-${index}`;
    const ofKey = key(index);
    ledger.published(id);
    await broker.publish(topic, {
      ...textEvent(`${index}`),
      id,
      ...(ofKey === undefined ? {} : { key: ofKey }),
    });
  }
}

async function idsOf(deadLetters: DeadLetters, topic: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of deadLetters.list(topic)) ids.push(id);
  return ids;
}

function forever(): Promise<void> {
  return new Promise(() => {});
}
