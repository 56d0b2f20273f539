import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Broker,
  deadlineAfter,
  EventRejected,
  type IncomingEvent,
  MicroError,
} from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import { topic as createTopic } from "@micro-es/runtime/codegenv1/topic";
import { type EchoRequest, EchoRequestSchema } from "../gen/micro/test/v1/echo_pb.ts";
import { abortAt, abortMoments } from "./abort-moments.ts";
import { lossCases } from "./broker-losses.ts";
import {
  type BrokerCase,
  type CreateBrokers,
  counted,
  Gate,
  rejects,
  Stage,
  sum,
  textEvent,
  textOf,
  until,
} from "./broker-stage.ts";
import type { ContractCase } from "./contract.ts";
import { deadLetterCases } from "./dead-letters.ts";
import { deduplicationCases } from "./deduplication.ts";

export type { BrokerFleet, CreateBrokers } from "./broker-stage.ts";

/** The behaviour of every broker, as far as its guarantees promise it. */
export function brokerContract(create: CreateBrokers): readonly ContractCase[] {
  return [...cases, ...deadLetterCases, ...lossCases, ...deduplicationCases].map(
    ([name, count, body]) => ({
      name,
      async run() {
        const fleet = await create(count);
        const stage = new Stage(fleet);
        try {
          await body(stage, ...(fleet.brokers as [Broker, Broker, Broker]));
        } finally {
          await stage.close();
        }
      },
    }),
  );
}

const cases: readonly BrokerCase[] = [
  [
    "keeps or discards what is published while nothing subscribes, as it guarantees",
    2,
    async (stage, one, two) => {
      const isKept = one.guarantees.unheard === "kept";
      await one.publish("unheard", textEvent("early"));
      const seen: string[] = [];
      const from = one.guarantees.replay ? ({ from: "first" } as const) : {};
      await two.subscribe("unheard", (event) => void seen.push(textOf(event)), from);
      await stage.settle();
      await one.publish("unheard", textEvent("late"));
      await until(() => seen.includes("late"));
      assert.deepEqual(seen, isKept ? ["early", "late"] : ["late"]);
    },
  ],
  [
    "gives every subscriber outside a queue group every event",
    3,
    async (stage, one, two, three) => {
      const seen = [one, two, two, three].map(() => [] as string[]);
      await Promise.all(
        [one, two, two, three].map((broker, index) =>
          broker.subscribe("fan.out", (event) => void seen[index]?.push(textOf(event))),
        ),
      );
      await stage.settle();
      for (const text of ["a", "b", "c"]) await one.publish("fan.out", textEvent(text));
      for (const texts of seen) {
        await until(() => texts.length === 3);
        assert.deepEqual(texts.slice().sort(), ["a", "b", "c"]);
      }
    },
  ],
  [
    "gives an event to one member of each queue group, and uses all members",
    3,
    async (stage, one, two, three) => {
      const members = [one, two, three].flatMap((broker) => [broker, broker]);
      const counts = new Map<string, number>();
      const used = new Set<number>();
      const others: string[] = [];
      for (const [index, broker] of members.entries()) {
        const take = (event: IncomingEvent) => {
          used.add(index);
          counts.set(textOf(event), (counts.get(textOf(event)) ?? 0) + 1);
        };
        await broker.subscribe("work", take, { queue: "workers" });
      }
      await two.subscribe("work", (event) => void others.push(textOf(event)), { queue: "audit" });
      await stage.settle();
      for (let index = 0; index < 200; index++) await one.publish("work", textEvent(`${index}`));
      await until(() => counts.size === 200 && others.length === 200);
      assert.deepEqual([...new Set(counts.values())], [1]);
      assert.equal(used.size, members.length);
    },
  ],
  [
    "carries an event whole",
    2,
    async (stage, one, two) => {
      const got = stage.collect();
      await two.subscribe("whole", got.take);
      await stage.settle();
      await one.publish("whole", {
        body: Uint8Array.from([0, 1, 255, 13, 10]),
        contentType: "application/protobuf",
        typeName: "acme.Order",
        key: "Zoë/1\r\n",
        id: "order-1",
        metadata: { tenant: "acme", "Trace-Bin": Uint8Array.from([0, 200, 13]) },
      });
      await one.publish("whole", { ...textEvent(""), body: new Uint8Array(0), key: "" });
      const [event, empty] = await got.wait(2);
      assert.equal(event.id, "order-1");
      assert.equal(event.topic, "whole");
      assert.deepEqual([...event.body], [0, 1, 255, 13, 10]);
      assert.equal(event.contentType, "application/protobuf");
      assert.equal(event.typeName, "acme.Order");
      assert.equal(event.key, "Zoë/1\r\n");
      assert.equal(event.attempt, 1);
      assert.deepEqual(
        Array.from(event.metadata, ([key, value]) => [key, ...value]),
        [
          ["tenant", ..."acme"],
          ["trace-bin", 0, 200, 13],
        ],
      );
      assert.equal(event.deadline, Number.POSITIVE_INFINITY);
      assert.equal(empty.body.length, 0);
      assert.equal(empty.key, undefined);
      assert.equal(empty.typeName, "");
      assert.notEqual(empty.id, "");
    },
  ],
  [
    "redelivers failed events, and counts the attempts",
    2,
    async (stage, one, two) => {
      if (!two.guarantees.redelivery) return;
      const attempts: number[] = [];
      const subscription = await two.subscribe(
        "retry",
        async (event) => {
          attempts.push(event.attempt);
          if (event.attempt < 3) throw new Error("not yet");
        },
        { redeliveryBackoffMs: 5 },
      );
      await stage.settle();
      await one.publish("retry", textEvent("x"));
      await until(() => subscription.stats.delivered === 1);
      assert.deepEqual(attempts, [1, 2, 3]);
      assert.deepEqual(subscription.stats, counted({ delivered: 1, failed: 2 }));
    },
  ],
  [
    "stops after maxDeliveries, and at once after a rejection",
    2,
    async (stage, one, two) => {
      if (!two.guarantees.redelivery) return;
      const attempts: string[] = [];
      const subscription = await two.subscribe(
        "give.up",
        (event) => {
          attempts.push(`${textOf(event)}${event.attempt}`);
          if (textOf(event) === "bad") throw new EventRejected("never");
          throw new Error("no");
        },
        { redeliveryBackoffMs: 1, maxDeliveries: 3 },
      );
      await stage.settle();
      await one.publish("give.up", textEvent("bad"));
      await one.publish("give.up", textEvent("x"));
      await until(() => subscription.stats.rejected === 2);
      assert.deepEqual(attempts.sort(), ["bad1", "x1", "x2", "x3"]);
      assert.deepEqual(subscription.stats, counted({ failed: 4, rejected: 2 }));
    },
  ],
  [
    "publishes events that failed for good to the dead letter topic, with the reason",
    2,
    async (stage, one, two) => {
      if (!two.guarantees.deadLetter) return;
      const dead = stage.collect();
      await one.subscribe("orders.dead", dead.take);
      const subscription = await two.subscribe(
        "orders",
        () => {
          throw new Error("out of\nstock");
        },
        { redeliveryBackoffMs: 1, maxDeliveries: 2, deadLetter: "orders.dead" },
      );
      await stage.settle();
      const event = { ...textEvent("x"), key: "k", id: "id-1", metadata: { tenant: "acme" } };
      await one.publish("orders", event);
      const [letter] = await dead.wait(1);
      await until(() => subscription.stats.rejected === 1);
      assert.equal(letter.id, "id-1");
      assert.equal(letter.key, "k");
      assert.equal(textOf(letter), "x");
      assert.deepEqual(letter.metadata.toObject(), {
        tenant: "acme",
        "micro-dead-letter-reason": "Error: out of stock",
        "micro-dead-letter-topic": "orders",
        "micro-dead-letter-attempts": "2",
      });
    },
  ],
  [
    "removes poison events, and handles everything else once",
    2,
    async (stage, one, two) => {
      if (!two.guarantees.deadLetter) return;
      const dead = stage.collect();
      const seen: string[] = [];
      await two.subscribe("poison.dead", dead.take);
      const subscription = await two.subscribe(
        "poison",
        async (event) => {
          if (textOf(event).endsWith("7")) throw new Error("poison");
          seen.push(textOf(event));
        },
        { redeliveryBackoffMs: 1, maxDeliveries: 3, deadLetter: "poison.dead", maxInFlight: 4 },
      );
      await stage.settle();
      for (let index = 0; index < 100; index++) await one.publish("poison", textEvent(`${index}`));
      await dead.wait(10);
      await until(() => seen.length === 90 && subscription.stats.rejected === 10);
      assert.equal(new Set(seen).size, 90);
      assert.ok(dead.events.every((event) => textOf(event).endsWith("7")));
      assert.deepEqual(subscription.stats, counted({ delivered: 90, failed: 30, rejected: 10 }));
    },
  ],
  [
    "keeps the order of a key, redeliveries included, and runs different keys at once",
    2,
    async (stage, one, two) => {
      if (two.guarantees.ordering !== "key") return;
      const seen = new Map<string, number[]>();
      const failed = new Set<string>();
      let atOnce = 0;
      let most = 0;
      const handler = async (event: IncomingEvent) => {
        atOnce++;
        most = Math.max(most, atOnce);
        await sleep(Math.random() * 2);
        atOnce--;
        const [key = "", index = ""] = textOf(event).split(":");
        if (Number(index) % 10 === 3 && !failed.has(textOf(event))) {
          failed.add(textOf(event));
          throw new Error("once");
        }
        const indexes = seen.get(key) ?? [];
        indexes.push(Number(index));
        seen.set(key, indexes);
      };
      const options = { queue: "q", redeliveryBackoffMs: 2, maxInFlight: 8 };
      const members = [
        await one.subscribe("keys", handler, options),
        await two.subscribe("keys", handler, options),
      ];
      await stage.settle();
      for (let index = 0; index < 20; index++) {
        for (const key of ["a", "b", "c", "d", "e"]) {
          await one.publish("keys", { ...textEvent(`${key}:${index}`), key });
        }
      }
      await until(() => sum(members, "delivered") === 100);
      const inOrder = Array.from({ length: 20 }, (_, index) => index);
      for (const indexes of seen.values()) assert.deepEqual(indexes, inOrder);
      assert.equal(sum(members, "failed"), 10);
      assert.ok(most > 1);
    },
  ],
  [
    "bounds the queue of a slow subscriber, counts losses, and does not delay other subscribers",
    2,
    async (stage, one, two) => {
      if (two.guarantees.overflow !== "drop") return;
      const gate = new Gate();
      const slow = await two.subscribe("slow", () => gate.opened, {
        maxInFlight: 1,
        maxPending: 10,
      });
      const fast = await two.subscribe("slow", () => {});
      await stage.settle();
      await one.publish("slow", textEvent("0"));
      await until(() => slow.stats.inFlight === 1);
      for (let index = 1; index < 100; index++) await one.publish("slow", textEvent(`${index}`));
      await until(() => fast.stats.delivered === 100);
      assert.deepEqual(slow.stats, counted({ inFlight: 1, pending: 10, dropped: 89 }));
      gate.open();
      await until(() => slow.stats.delivered === 11);
      assert.deepEqual(slow.stats, counted({ delivered: 11, dropped: 89 }));
    },
  ],
  [
    "isolates a subscriber that throws, rejects or hangs from the others",
    2,
    async (stage, one, two) => {
      const gate = new Gate();
      const options = { maxDeliveries: 1, redeliveryBackoffMs: 1 };
      const throwing = await two.subscribe(
        "isolated",
        () => {
          throw null;
        },
        options,
      );
      const rejecting = await two.subscribe(
        "isolated",
        () => Promise.reject(undefined) as Promise<void>,
        options,
      );
      await two.subscribe("isolated", () => gate.opened, { maxInFlight: 1 });
      const well = stage.collect();
      await two.subscribe("isolated", well.take);
      await stage.settle();
      for (let index = 0; index < 20; index++) await one.publish("isolated", textEvent(`${index}`));
      await well.wait(20);
      await until(() => throwing.stats.rejected === 20 && rejecting.stats.rejected === 20);
      gate.open();
    },
  ],
  [
    "aborts the signal of an attempt that takes too long, and redelivers the event",
    2,
    async (stage, one, two) => {
      if (!two.guarantees.redelivery) return;
      const reasons: unknown[] = [];
      const subscription = await two.subscribe(
        "hang",
        async (event) => {
          assert.notEqual(event.deadline, Number.POSITIVE_INFINITY);
          if (event.attempt > 1) return;
          await new Promise<void>((resolve) => {
            event.signal.addEventListener("abort", () => {
              reasons.push(event.signal.reason);
              // It reports success too late: the event has already failed.
              resolve();
            });
          });
        },
        { handlerTimeoutMs: 20, redeliveryBackoffMs: 1 },
      );
      await stage.settle();
      await one.publish("hang", textEvent("x"));
      await until(() => subscription.stats.delivered === 1);
      assert.deepEqual(subscription.stats, counted({ delivered: 1, failed: 1 }));
      assert.ok(reasons[0] instanceof MicroError && reasons[0].code === "deadline_exceeded");
    },
  ],
  [
    "closes a subscription after the events in flight, and delivers nothing after that",
    2,
    async (stage, one, two) => {
      const gate = new Gate();
      let handled = 0;
      let closed = false;
      let late = 0;
      const subscription = await two.subscribe("closing", async () => {
        if (closed) late++;
        await gate.opened;
        handled++;
      });
      await stage.settle();
      await one.publish("closing", textEvent("x"));
      await until(() => subscription.stats.inFlight === 1);
      const closing = subscription.close().then(() => {
        closed = true;
      });
      await sleep(5);
      assert.equal(closed, false);
      gate.open();
      await closing;
      assert.equal(handled, 1);
      for (let index = 0; index < 20; index++) await one.publish("closing", textEvent(`${index}`));
      await sleep(5);
      assert.equal(late, 0);
      assert.equal(subscription.stats.delivered, 1);
      await subscription.close();
    },
  ],
  [
    "handles or passes on the events of a member that leaves its group",
    2,
    async (stage, one, two) => {
      const seen: string[] = [];
      const take = async (event: IncomingEvent) => {
        await sleep(1);
        seen.push(textOf(event));
      };
      const options = { queue: "q", maxInFlight: 2 };
      const leaving = await one.subscribe("leave", take, options);
      await two.subscribe("leave", take, options);
      await stage.settle();
      for (let index = 0; index < 50; index++) {
        await one.publish("leave", textEvent(`${index}`));
        if (index === 25) void leaving.close();
      }
      await until(() => seen.length === 50);
      assert.equal(new Set(seen).size, 50);
    },
  ],
  [
    "ends a subscription by its signal",
    2,
    async (stage, one, two) => {
      const controller = new AbortController();
      const ended = await two.subscribe("signal", () => {}, { signal: controller.signal });
      const other = await two.subscribe("signal", () => {});
      await stage.settle();
      await one.publish("signal", textEvent("1"));
      await until(() => ended.stats.delivered === 1);
      controller.abort();
      await ended.close();
      await one.publish("signal", textEvent("2"));
      await until(() => other.stats.delivered === 2);
      assert.equal(ended.stats.delivered, 1);
      await rejects(
        one.subscribe("signal", () => {}, { signal: controller.signal }),
        "canceled",
      );
      await rejects(
        one.publish("signal", textEvent("3"), { signal: controller.signal }),
        "canceled",
      );
    },
  ],
  [
    "ends a subscription whose signal aborts while it is set up, at any stage",
    2,
    async (stage, one, two) => {
      let seen = 0;
      const all = await two.subscribe("set-up", () => {});
      const take = () => void seen++;
      for (const queue of [undefined, "group"]) {
        for (const moment of abortMoments) {
          const subscribing = (signal: AbortSignal) =>
            one.subscribe("set-up", take, queue === undefined ? { signal } : { queue, signal });
          const subscription = await abortAt(moment, subscribing);
          await subscription?.close();
        }
      }
      await stage.settle();
      for (let index = 0; index < 5; index++) await two.publish("set-up", textEvent(`${index}`));
      await until(() => all.stats.delivered === 5);
      // If events take separate paths, a last subscription shows that those of the ended ones are
      // empty.
      const last = await one.subscribe("set-up", () => {});
      await stage.settle();
      await two.publish("set-up", textEvent("last"));
      await until(() => last.stats.delivered === 1 && all.stats.delivered === 6);
      assert.equal(seen, 0);
    },
  ],
  [
    "propagates the trace and marked metadata from the event that caused another, and nothing else",
    2,
    async (stage, one, two) => {
      const got = stage.collect();
      await one.subscribe("second", got.take);
      await two.subscribe(
        "first",
        (event) => two.publish("second", { ...textEvent("y"), metadata: { own: "1" } }, event),
        { propagate: ["tenant"] },
      );
      await stage.settle();
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      const metadata = { traceparent, tenant: "acme", "x-internal": "secret" };
      await one.publish("first", { ...textEvent("x"), metadata });
      const [event] = await got.wait(1);
      assert.deepEqual(event.metadata.toObject(), { traceparent, tenant: "acme", own: "1" });
    },
  ],
  [
    "carries the publisher's deadline, and fails events that were not handled by then",
    2,
    async (stage, one, two) => {
      const dead = stage.collect();
      await one.subscribe("offers.dead", dead.take);
      const begun: string[] = [];
      const reasons: unknown[] = [];
      const subscription = await two.subscribe(
        "offers",
        async (event) => {
          begun.push(textOf(event));
          const remaining = event.deadline - performance.now();
          assert.ok(remaining > 0 && remaining <= 60_000, `${remaining} ms are left`);
          if (textOf(event) === "in time") return;
          await new Promise<void>((resolve) => {
            event.signal.addEventListener("abort", () => {
              reasons.push(event.signal.reason);
              resolve();
            });
          });
        },
        { maxInFlight: 1, redeliveryBackoffMs: 1, deadLetter: "offers.dead" },
      );
      await stage.settle();
      const deadline = deadlineAfter(400);
      await one.publish("offers", textEvent("in time"), { deadline: deadlineAfter(60_000) });
      await until(() => subscription.stats.delivered === 1);
      await one.publish("offers", textEvent("too long"), { deadline });
      // It may not overtake the other one, and no order is promised.
      await until(() => begun.length === 2 || subscription.stats.rejected === 1);
      await one.publish("offers", textEvent("too late"), { deadline: deadline - 100 });
      await until(() => subscription.stats.rejected === 2);
      // A slow machine may have used up the time of the second as well.
      assert.ok(begun.length <= 2 && !begun.includes("too late"));
      for (const reason of reasons) {
        assert.ok(reason instanceof MicroError && reason.code === "deadline_exceeded");
      }
      if (!two.guarantees.deadLetter) return;
      const letters = await dead.wait(2);
      for (const { metadata, deadline: left } of letters) {
        assert.match(String(metadata.get("micro-dead-letter-reason")), /within its deadline/);
        assert.equal(left, Number.POSITIVE_INFINITY);
      }
    },
  ],
  [
    "refuses an event over the limit, and accepts the next one",
    2,
    async (stage, one, two) => {
      const got = stage.collect();
      await two.subscribe("large", got.take);
      await stage.settle();
      const limit = one.guarantees.maxEventBytes;
      await rejects(
        one.publish("large", { ...textEvent(""), body: new Uint8Array(limit + 1) }),
        "resource_exhausted",
      );
      await one.publish("large", { ...textEvent(""), body: new Uint8Array(limit).fill(7) });
      const [event] = await got.wait(1);
      assert.equal(event.body.length, limit);
      assert.ok(event.body.every((byte) => byte === 7));
    },
  ],
  [
    "refuses topics, queues and metadata that are not allowed",
    1,
    async (_stage, one) => {
      const names = ["", "a b", "a*", "a.>", "a/b", "ä", "a\r\nb", "a\0", "x".repeat(256)];
      for (const name of names) {
        await rejects(one.publish(name, textEvent("x")), "invalid_argument");
        await rejects(
          one.subscribe(name, () => {}),
          "invalid_argument",
        );
        await rejects(
          one.subscribe("fine", () => {}, { queue: name }),
          "invalid_argument",
        );
        await rejects(
          one.subscribe("fine", () => {}, { deadLetter: name }),
          "invalid_argument",
        );
      }
      for (const metadata of [
        { "a\nb": "x" },
        { a: "x\r\ny" },
        { "micro-topic": "y" },
        { "Content-Type": "text/html" },
      ]) {
        await rejects(one.publish("fine", { ...textEvent("x"), metadata }), "invalid_argument");
      }
      await rejects(
        one.subscribe("fine", () => {}, { maxInFlight: 0 }),
        "invalid_argument",
      );
    },
  ],
  [
    "replays kept events from the beginning and from a time, if it keeps any",
    2,
    async (stage, one, two) => {
      if (!two.guarantees.replay) {
        await rejects(
          two.subscribe("kept", () => {}, { from: "first" }),
          "unimplemented",
        );
        return;
      }
      for (const text of ["a", "b"]) await one.publish("kept", textEvent(text));
      await sleep(50);
      const middle = new Date();
      await sleep(50);
      for (const text of ["c", "d"]) await one.publish("kept", textEvent(text));
      const [all, late, group] = [stage.collect(), stage.collect(), stage.collect()];
      await two.subscribe("kept", all.take, { from: "first" });
      await two.subscribe("kept", late.take, { from: middle });
      await two.subscribe("kept", group.take, { from: "first", queue: "q" });
      await all.wait(4);
      await group.wait(4);
      await late.wait(2);
      assert.deepEqual(late.events.map(textOf).sort(), ["c", "d"]);
    },
  ],
  [
    "publishes to a topic without subscribers",
    1,
    async (_stage, one) => {
      await one.publish("unused", textEvent("x"));
    },
  ],
  [
    "delivers later events to the others when a broker closes, and refuses to work closed",
    3,
    async (stage, one, two, three) => {
      const seen: string[] = [];
      const take = (event: IncomingEvent) => void seen.push(textOf(event));
      await two.subscribe("death", take, { queue: "q" });
      await three.subscribe("death", take, { queue: "q" });
      await stage.settle();
      for (let index = 0; index < 20; index++) await one.publish("death", textEvent(`${index}`));
      await two.close();
      for (let index = 20; index < 40; index++) await one.publish("death", textEvent(`${index}`));
      await until(() => seen.length === 40);
      assert.equal(new Set(seen).size, 40);
      await two.close();
      await rejects(two.publish("death", textEvent("x")), "unavailable");
      await rejects(
        two.subscribe("death", () => {}),
        "unavailable",
      );
    },
  ],
  [
    "carries typed messages, in protobuf and in JSON, and rejects malformed ones before the handler",
    2,
    async (stage, one, two) => {
      const topic = createTopic({
        name: "typed",
        codec: protobufCodec(EchoRequestSchema),
        key: (message) => message.text ?? "",
      });
      const seen: EchoRequest[] = [];
      const keys: (string | undefined)[] = [];
      const subscription = await topic.subscribe(two, (message, event) => {
        seen.push(message);
        keys.push(event.key);
      });
      await stage.settle();
      await topic.publish(one, { text: "a", count: 1 });
      const json = { contentType: "application/json", typeName: "" };
      await one.publish("typed", { ...json, body: Buffer.from('{"text":"b","count":2}') });
      await one.publish("typed", { ...json, body: Buffer.from("{") });
      await one.publish("typed", { ...textEvent("x"), contentType: "application/x-odd" });
      await until(() => seen.length === 2 && subscription.stats.rejected === 2);
      assert.deepEqual(seen.map(({ text, count }) => [text, count]).sort(), [
        ["a", 1],
        ["b", 2],
      ]);
      assert.ok(keys.includes("a"));
      assert.equal(subscription.stats.failed, 2);
    },
  ],
];
