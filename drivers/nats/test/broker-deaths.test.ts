import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker } from "@micro-es/nats";
import { type DeadLetter, silentLogger } from "@micro-es/runtime";
import type { OutgoingEvent } from "@micro-es/runtime/driver";
import { startProgram } from "@micro-es/test-support/argument-program";
import { connect, createInbox, nanos } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

const dyingSubscriber = new URL("dying-subscriber.ts", import.meta.url).href;

describe.skipIf(skipWithoutNats)("an event whose handlers kill their process", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.close());

  const maxDeliveries = 2;
  const poison: OutgoingEvent = {
    body: Buffer.from("v"),
    contentType: "text/plain",
    typeName: "",
    key: "k",
    id: "poison",
    metadata: { tenant: "acme" },
  };

  test.each([
    { what: "at once, so that the first handling is not counted", dieAfterMs: 0, uncounted: 1 },
    { what: "after a while, so that every handling is counted", dieAfterMs: 1_500, uncounted: 0 },
  ])("$what, becomes a dead letter", async ({ dieAfterMs, uncounted }) => {
    const name = `deadly${dieAfterMs}`;
    const options = { servers: server.url, stream: name, prefix: name, ackWaitMs: 600 };
    await using broker = jetstreamBroker({ ...options, logger: silentLogger });
    const group = { queue: "q", maxDeliveries };
    // The group exists, so that the event waits for its members.
    await (await broker.subscribe("topic", () => {}, group)).close();
    await broker.publish("topic", poison);
    const letters = async () => {
      const all: DeadLetter[] = [];
      for await (const letter of broker.deadLetters?.list("topic.dead") ?? []) all.push(letter);
      return all;
    };
    let handlings = 0;
    for (let member = 0; member < 6 && (await letters()).length === 0; member++) {
      const program = await startProgram(dyingSubscriber, {
        ...options,
        dieAfterMs,
        subscribe: group,
      });
      await Promise.race([
        program.ended,
        expect.poll(letters, { timeout: 20_000, interval: 50 }).toHaveLength(1),
      ]);
      handlings += program.lines.length;
      await program.kill();
    }
    expect(handlings).toBe(maxDeliveries + uncounted);
    const [letter] = await letters();
    expect(letter).toMatchObject({ id: "poison", topic: "topic", key: "k", attempts: 2 });
    expect(letter?.metadata.toObject()).toEqual({ tenant: "acme" });
    expect(letter?.reason).toMatch(/handled 2 times, and no handling ended/);
  });

  test("is counted when the group's only member stops while handling it", async () => {
    const name = "stopped";
    const options = { servers: server.url, stream: name, prefix: name, closeGraceMs: 20 };
    const group = { queue: "q", maxDeliveries };
    const attempts: number[] = [];
    let handle = (_attempt: number) => {};
    for (let member = 0; member < 3; member++) {
      await using broker = jetstreamBroker({ ...options, logger: silentLogger });
      const begun = new Promise<void>((resolve) => {
        handle = (attempt) => {
          attempts.push(attempt);
          resolve();
        };
      });
      await broker.subscribe(
        "topic",
        async ({ attempt }) => {
          handle(attempt);
          await new Promise(() => {});
        },
        group,
      );
      if (member === 0) await broker.publish("topic", poison);
      const dead = async () => {
        const letters = broker.deadLetters?.list("topic.dead") ?? [];
        for await (const { attempts } of letters) return attempts;
        return 0;
      };
      if (member < maxDeliveries) await begun;
      else await expect.poll(dead, { timeout: 20_000, interval: 50 }).toBe(maxDeliveries);
    }
    expect(attempts).toEqual([1, 2]);
  });

  test("is counted before it is handled if a member without heartbeats had received it", async () => {
    const name = "silent";
    const options = { servers: server.url, stream: name, prefix: name, ackWaitMs: 1_500 };
    await using broker = jetstreamBroker({ ...options, closeGraceMs: 0, logger: silentLogger });
    const group = { queue: "q", maxDeliveries };
    await (await broker.subscribe("topic", () => {}, group)).close();
    await broker.publish("topic", poison);
    const connection = await connect({ servers: server.url });
    const inbox = createInbox();
    const received = new Promise((resolve) => connection.subscribe(inbox, { callback: resolve }));
    connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${name}.q=_topic`,
      JSON.stringify({ batch: 64, expires: nanos(20_000) }),
      { reply: inbox },
    );
    await received;
    await connection.close();
    // Asking the server about it would change what it does when the event is due again.
    await sleep(options.ackWaitMs + 100);
    const observer = await connect({ servers: server.url });
    const counted = new Promise((resolve) => {
      void broker.subscribe(
        "topic",
        async () => {
          const bucket = await observer.jetstream().views.kv(`${name}-handlings`);
          resolve((await bucket.get("q=_topic.1"))?.json());
        },
        group,
      );
    });
    expect(await counted).toMatchObject({ handlings: 1 });
    await observer.close();
  });
});
