import { KafkaLink, kafkaBroker } from "@micro-es/kafka";
import { silentLogger } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type KafkaServer, skipWithoutKafka, startKafka } from "./server.ts";

const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };
const refused = { code: "unavailable", outcome: "not-executed" };

describe.skipIf(skipWithoutKafka)("the connection to Kafka", () => {
  let server: KafkaServer;
  beforeAll(async () => {
    server = await startKafka({ proxies: 1 });
  });
  afterAll(() => server?.close());

  const open = (more: Parameters<typeof kafkaBroker>[0] = {}) => {
    const own = { servers: server.address, logger: silentLogger, partitions: 2 };
    const broker = kafkaBroker({ ...own, sessionTimeoutMs: 2_000, ...more });
    onTestFinished(() => broker.close());
    return broker;
  };

  test("waits at first for a server that is not up yet, or fails after that time", async () => {
    await using proxy = await server.proxy();
    proxy.refuse(true);
    const servers = `127.0.0.1:${proxy.port}`;
    const impatient = open({ servers, startTimeoutMs: 50 });
    await expect(impatient.publish("topic", event)).rejects.toMatchObject(refused);
    await expect(impatient.publish("topic", event)).rejects.toMatchObject(refused);
    const patient = open({ servers });
    const published = patient.publish("topic", event);
    await expect.poll(() => patient.state).toBe("lost");
    const link = new KafkaLink({ servers });
    const failed = expect(link.open()).rejects.toMatchObject({ code: "unavailable" });
    await link.close();
    await failed;
    await expect(link.open()).rejects.toThrow(/the connection is closed/);
    proxy.refuse(false);
    await published;
    expect(patient.state).toBe("healthy");
    await impatient.publish("topic", event);
    expect(impatient.state).toBe("healthy");
  });

  test("notices a server that does not respond, and goes on when it does", async () => {
    const broker = open({ timeoutMs: 1_000 });
    const seen: string[] = [];
    const lone: string[] = [];
    await broker.subscribe("silent", ({ id }) => void seen.push(id), { queue: "q" });
    await broker.subscribe("silent", ({ id }) => void lone.push(id));
    await broker.publish("silent", { ...event, id: "before" });
    await expect.poll(() => [seen, lone]).toEqual([["before"], ["before"]]);
    server.signal("SIGSTOP");
    await expect.poll(() => broker.state).toBe("lost");
    await expect(broker.publish("silent", event)).rejects.toMatchObject(refused);
    server.signal("SIGCONT");
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("silent", { ...event, id: "after" });
    // Whether the first one was committed in time is not known.
    await expect.poll(() => [seen.at(-1), lone.at(-1)]).toEqual(["after", "after"]);
    expect(lone).toEqual(["before", "after"]);
  });

  test("is restored after a restart, with subscriptions", async () => {
    const broker = open({ timeoutMs: 20_000 });
    const seen: string[] = [];
    const lone: string[] = [];
    await broker.subscribe("restart", ({ id }) => void seen.push(id), { queue: "q" });
    await broker.subscribe("restart", ({ id }) => void lone.push(id));
    await broker.publish("restart", { ...event, id: "before" });
    await expect.poll(() => [seen, lone]).toEqual([["before"], ["before"]]);
    await server.stop();
    await expect.poll(() => broker.state).toBe("lost");
    await expect(broker.publish("restart", event)).rejects.toMatchObject(refused);
    await server.start();
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("restart", { ...event, id: "after" });
    await expect.poll(() => [seen.at(-1), lone.at(-1)]).toEqual(["after", "after"]);
    expect(lone).toEqual(["before", "after"]);
  });
});
