import { expect, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import type { OutgoingEvent } from "../broker.ts";
import { MemoryBrokerNetwork, type MemoryBrokerOptions, memoryBroker } from "./broker.ts";

const create = (options: MemoryBrokerOptions = {}) =>
  memoryBroker({ network: new MemoryBrokerNetwork(), logger: silentLogger, ...options });

const event = (text: string): OutgoingEvent => ({
  body: Buffer.from(text),
  contentType: "text/plain",
  typeName: "",
});

test("brokers of one process are connected, unless they have their own networks", async () => {
  const [one, two, apart] = [
    memoryBroker({ logger: silentLogger }),
    memoryBroker({ logger: silentLogger }),
    create(),
  ];
  const seen: string[] = [];
  await one.subscribe("meet", (got) => void seen.push(Buffer.from(got.body).toString()));
  await two.publish("meet", event("near"));
  await apart.publish("meet", event("far"));
  await one.close();
  expect(seen).toEqual(["near"]);
  await Promise.all([two.close(), apart.close()]);
});

test("a publisher that changes its buffer later does not change the event", async () => {
  const broker = create();
  const seen: string[] = [];
  await broker.subscribe("buffer", (got) => void seen.push(Buffer.from(got.body).toString()));
  const bodies = [Buffer.from("a Buffer"), new Uint8Array(Buffer.from("an array"))];
  const publishing = bodies.map((body) => broker.publish("buffer", { ...event(""), body }));
  for (const body of bodies) body.fill(0x78);
  await Promise.all(publishing);
  await broker.close();
  expect(seen).toEqual(["a Buffer", "an array"]);
});

test("overflow block: the publisher waits for room, and no event is lost", async () => {
  const broker = create({ overflow: "block" });
  const seen: string[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const subscription = await broker.subscribe(
    "slow",
    async (got) => {
      await gate;
      seen.push(Buffer.from(got.body).toString());
    },
    { maxInFlight: 1, maxPending: 2 },
  );
  for (const text of ["0", "1", "2"]) await broker.publish("slow", event(text));
  let published = false;
  const last = broker.publish("slow", event("3")).then(() => {
    published = true;
  });
  await new Promise(setImmediate);
  expect(published).toBe(false);
  const controller = new AbortController();
  const aborted = broker.publish("slow", event("4"), { signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: "canceled" });
  void broker.publish("slow", event("4")).catch(() => {});
  await expect(broker.publish("slow", event("5"))).rejects.toMatchObject({
    code: "resource_exhausted",
  });
  release();
  await last;
  await broker.close();
  expect(seen).toEqual(["0", "1", "2", "3", "4"]);
  expect(subscription.stats).toMatchObject({ delivered: 5, dropped: 0, pending: 0 });
  expect(broker.guarantees).toMatchObject({ delivery: "at-least-once", overflow: "block" });
});
