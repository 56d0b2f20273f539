import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Broker, DeadLetter, DeadLetters, IncomingEvent } from "@micro-es/runtime";
import { type BrokerCase, rejects, type Stage, textEvent, textOf, until } from "./broker-stage.ts";

/** The behaviour of a broker that keeps dead letters; one that keeps none passes. */
export const deadLetterCases: readonly BrokerCase[] = [
  [
    "keeps dead letters, which can be listed, read and dropped",
    2,
    async (stage, one, two) => {
      const { deadLetters } = two;
      if (deadLetters === undefined) return;
      assert.deepEqual(await deadLetters.topics(), []);
      assert.deepEqual(await all(deadLetters, "bills.dead"), []);
      const began = Date.now();
      await failing(stage, one, "bills", () => true);
      await publish(one, "bills", 5);
      await until(async () => (await all(deadLetters, "bills.dead")).length === 5);
      assert.deepEqual(await deadLetters.topics(), [{ topic: "bills.dead", count: 5 }]);

      const letters = await all(deadLetters, "bills.dead");
      // Several are handled at once, so they may have failed in another order.
      const [first] = letters.filter(({ id }) => id === "bills-0");
      assert.ok(first !== undefined);
      assert.deepEqual(
        { ...first, body: Buffer.from(first.body).toString(), cursor: "", at: 0 },
        {
          cursor: "",
          topic: "bills",
          id: "bills-0",
          key: "k0",
          body: "0",
          contentType: "text/plain",
          typeName: "acme.Bill",
          metadata: first.metadata,
          reason: "Error: cannot be paid",
          attempts: 1,
          at: 0,
        },
      );
      assert.deepEqual(first.metadata.toObject(), { tenant: "acme" });
      assert.ok(Math.abs(first.at.getTime() - began) < 60_000);
      const reading = await deadLetters.read("bills.dead", first.cursor);
      assert.equal(reading?.id, "bills-0");

      const cursors = letters.map(({ cursor }) => cursor);
      const [, second = "", third = ""] = cursors;
      const page = await all(deadLetters, "bills.dead", { after: second, limit: 2 });
      assert.deepEqual(cursorsOf(page), cursors.slice(2, 4));
      assert.equal(await deadLetters.drop("bills.dead", second), true);
      assert.equal(await deadLetters.drop("bills.dead", second), false);
      assert.equal(await deadLetters.read("bills.dead", second), undefined);
      assert.equal(await deadLetters.replay("bills.dead", second), false);
      // A cursor continues where it was, even if the dead letter it names is gone.
      const rest = await all(deadLetters, "bills.dead", { after: second });
      assert.deepEqual(cursorsOf(rest), cursors.slice(2));

      assert.equal(await deadLetters.read("bills", third), undefined, "no letter of that topic");
      assert.equal(await deadLetters.read("bills.dead", "999999"), undefined);
      for (const wrong of ["", "x", "-1", "1.5"]) {
        await rejects(deadLetters.read("bills.dead", wrong), "invalid_argument");
      }
      await rejects(all(deadLetters, "not a topic"), "invalid_argument");
      const signal = AbortSignal.abort();
      await rejects(all(deadLetters, "bills.dead", { signal }), "canceled");
      await two.close();
      await rejects(deadLetters.topics(), "unavailable");
    },
  ],
  [
    "replays a dead letter unchanged to its topic, as often as it fails",
    2,
    async (stage, one, two) => {
      const { deadLetters } = two;
      if (deadLetters === undefined) return;
      const seen: IncomingEvent[] = [];
      await failing(stage, one, "jobs", (event) => seen.push(event) < 3);
      await publish(one, "jobs", 1);
      let before: string | undefined;
      for (let round = 0; round < 2; round++) {
        // No part of it may be taken for the event that failed before.
        await until(async () => {
          const letters = await all(deadLetters, "jobs.dead");
          return letters.length === 1 && letters[0]?.cursor !== before;
        });
        before = (await all(deadLetters, "jobs.dead"))[0]?.cursor ?? "";
        assert.equal(await deadLetters.replay("jobs.dead", before), true);
        assert.equal(await deadLetters.replay("jobs.dead", before), false);
      }
      await until(() => seen.length === 3);
      for (const event of seen) {
        const { id, topic, key, typeName, contentType, attempt } = event;
        assert.deepEqual(
          { id, topic, key, typeName, contentType, attempt, text: textOf(event) },
          {
            id: "jobs-0",
            topic: "jobs",
            key: "k0",
            typeName: "acme.Bill",
            contentType: "text/plain",
            attempt: 1,
            text: "0",
          },
        );
        assert.deepEqual(event.metadata.toObject(), { tenant: "acme" });
      }
      assert.deepEqual(await all(deadLetters, "jobs.dead"), []);
    },
  ],
];

/** Subscribes to a topic with a handler that fails permanently for chosen events. */
async function failing(
  stage: Stage,
  broker: Broker,
  topic: string,
  fails: (event: IncomingEvent) => boolean,
): Promise<void> {
  await broker.subscribe(
    topic,
    (event) => {
      if (fails(event)) throw new Error("cannot be\npaid");
    },
    { queue: "q", maxDeliveries: 1, deadLetter: `${topic}.dead` },
  );
  await stage.settle();
}

async function publish(broker: Broker, topic: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    await broker.publish(topic, {
      ...textEvent(`${index}`),
      typeName: "acme.Bill",
      key: `k${index}`,
      id: `${topic}-${index}`,
      metadata: { tenant: "acme" },
    });
  }
}

async function all(
  deadLetters: DeadLetters,
  topic: string,
  options: Parameters<DeadLetters["list"]>[1] = {},
): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for await (const letter of deadLetters.list(topic, options)) letters.push(letter);
  return letters;
}

function cursorsOf(letters: readonly DeadLetter[]): string[] {
  return letters.map(({ cursor }) => cursor);
}
