import {
  httpBroker,
  type MdnsRegistryOptions,
  mdnsRegistry,
  silentLogger,
} from "@micro-es/runtime";
import type { OutgoingEvent } from "@micro-es/runtime/driver";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type BrokerProcess, startBrokerProcess } from "../support/broker-process.ts";

const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 5 });

/** No traffic leaves the machine, and every test process has a port of its own. */
const link: MdnsRegistryOptions = {
  interface: "127.0.0.1",
  group: "239.77.105.98",
  port: 20_000 + (process.pid % 20_000),
  timeoutMs: 250,
};

const textEvent = (text: string): OutgoingEvent => ({
  body: Buffer.from(text),
  contentType: "text/plain",
  typeName: "",
});

describe("the HTTP broker between processes that find each other by multicast DNS", () => {
  const registry = mdnsRegistry(link);
  const broker = httpBroker({ registry, sendTimeoutMs: 1_000, logger: silentLogger });
  let workers: [BrokerProcess, BrokerProcess];
  let audit: BrokerProcess;

  beforeAll(async () => {
    // The publisher starts watching before there are subscribers, so it must learn of later ones.
    await broker.publish("orders", textEvent("too early"));
    const [one, two, all] = await Promise.all([
      startBrokerProcess(link, "orders", "workers"),
      startBrokerProcess(link, "orders", "workers"),
      startBrokerProcess(link, "orders"),
    ]);
    workers = [one, two];
    audit = all;
    await until(async () => (await registry.get("micro.http.broker")).length === 3);
  });

  afterAll(async () => {
    await Promise.all([...workers, audit].map((each) => each.kill()));
    await broker.close();
    await registry.close();
  });

  const publish = async (name: string, count: number) => {
    for (let index = 0; index < count; index++) {
      await broker.publish("orders", textEvent(`${name}${index}`));
    }
  };
  const handled = (name: string) =>
    workers.flatMap((worker) => worker.events.filter((event) => event.startsWith(name)));
  const audited = (name: string) => audit.events.filter((event) => event.startsWith(name));

  test("an event goes to one member of the group, and to every subscriber outside it", async () => {
    await publish("first", 100);
    await until(() => handled("first").length >= 100 && audited("first").length >= 100);
    expect(handled("first")).toHaveLength(100);
    expect(new Set(handled("first")).size).toBe(100);
    expect(audited("first")).toHaveLength(100);
    for (const worker of workers) expect(worker.events.length).toBeGreaterThan(10);
  });

  test("while a member is paused, the other gets the events", async () => {
    workers[0].signal("SIGSTOP");
    await publish("second", 30);
    await until(
      () => workers[1].events.filter((event) => event.startsWith("second")).length === 30,
    );
    await until(() => audited("second").length === 30);
    workers[0].signal("SIGCONT");
  });

  test("when a member is killed, no later event is lost", async () => {
    await workers[0].kill();
    await publish("third", 100);
    await until(() => handled("third").length >= 100 && audited("third").length >= 100);
    expect(new Set(handled("third")).size).toBe(100);
    expect(audited("third")).toHaveLength(100);
  });

  test("a closed broker does not keep its process running", async () => {
    expect(await audit.stop()).toBe(0);
    await publish("fourth", 10);
    await until(() => handled("fourth").length === 10);
  });
});
