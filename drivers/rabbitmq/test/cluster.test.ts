import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMqServer, skipWithoutRabbitMq, startCluster } from "./server.ts";

const logger = silentLogger;
const textEvent = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutRabbitMq)("a cluster of three RabbitMQ servers", () => {
  let servers: readonly RabbitMqServer[];
  beforeAll(async () => {
    servers = await startCluster(3);
  }, 180_000);
  afterAll(async () => {
    for (const server of servers ?? []) await server.close();
  });

  /** All members, beginning with one of them, to which a link connects first. */
  const from = (first: number) =>
    [...servers.slice(first), ...servers.slice(0, first)].map(({ address }) => address);

  /** Resolves when all three have a copy of a queue. */
  const isReplicated = (queue: string) =>
    expect
      .poll(() => servers[2]?.control("list_queues", "name", "online"), { timeout: 60_000 })
      .toMatch(new RegExp(`^${queue}\\s+\\[[^\\],]+,[^\\],]+,[^\\],]+\\]`, "m"));

  test("keeps what it confirmed when one of them is killed, and goes on", {
    timeout: 180_000,
  }, async () => {
    const options = { exchange: "killed", logger, timeoutMs: 5_000 };
    await using member = rabbitmqBroker({ ...options, servers: from(0) });
    await using publisher = rabbitmqBroker({ ...options, servers: from(1) });
    const handled = new Set<string>();
    const heard = new Set<string>();
    await member.subscribe("topic", ({ id }) => void handled.add(id), { queue: "g" });
    await member.subscribe("topic", ({ id }) => void heard.add(id));
    await isReplicated("killed=g=topic");
    const confirmed: string[] = [];
    const publish = async (id: string) => {
      try {
        await publisher.publish("topic", { ...textEvent, id });
        confirmed.push(id);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/unavailable|deadline/) });
      }
    };
    for (let count = 0; count < 100; count++) await publish(`before-${count}`);
    const killed = servers[0];
    await killed?.stop("SIGKILL");
    for (let count = 0; count < 100; count++) await publish(`during-${count}`);
    await killed?.start();
    for (let count = 0; count < 100; count++) await publish(`after-${count}`);
    expect(confirmed).toEqual(expect.arrayContaining(["before-0", "after-99"]));
    await expect
      .poll(() => confirmed.filter((id) => !handled.has(id)), { timeout: 60_000 })
      .toEqual([]);
    // The queue of the lone subscription was on the server that was killed, and is a new one.
    await expect
      .poll(async () => {
        const id = `late-${heard.size}-${Date.now()}`;
        await publish(id);
        return heard.has(id);
      })
      .toBe(true);
    expect([member.state, publisher.state]).toEqual(["healthy", "healthy"]);
  });
});
