import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KafkaLink, type KafkaOptions, kafka, kafkaBroker } from "@micro-es/kafka";
import { createService, silentLogger } from "@micro-es/runtime";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KafkaServer, skipWithoutKafka, startKafka } from "./server.ts";

const event = { body: new Uint8Array([1]), contentType: "text/plain", typeName: "" };
const user = "app";
const password = "s3cret";

describe.skipIf(skipWithoutKafka)("a Kafka with users, by TLS", () => {
  const authority = new TestAuthority();
  const directory = mkdtempSync(join(tmpdir(), "micro-kafka-tls-"));
  const caFile = join(directory, "ca.pem");
  let server: KafkaServer;
  let tls: { readonly ca: string };
  beforeAll(async () => {
    tls = { ca: authority.ca };
    server = await startKafka({ security: { authority, user, password } });
    writeFileSync(caFile, authority.ca);
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  const connect = (options: KafkaOptions) =>
    kafkaBroker({
      servers: server.secureAddress,
      logger: silentLogger,
      timeoutMs: 20_000,
      ...options,
    });

  test.each(["scram-sha-512", "plain"] as const)(
    "takes user and password by %s",
    async (mechanism) => {
      await using broker = connect({ user, password, tls, mechanism });
      const handled: string[] = [];
      await broker.subscribe("secure", ({ id }) => void handled.push(id), { queue: mechanism });
      await broker.publish("secure", { ...event, id: mechanism });
      await expect.poll(() => handled).toContain(mechanism);
    },
  );

  test("refuses a wrong password at once, with an error that does not show it", async () => {
    for (const mechanism of ["scram-sha-512", "plain"] as const) {
      await using broker = connect({ user, password: "guess", tls, mechanism });
      const failed = await errorOf(broker.publish("secure", event));
      expect(failed).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
      expect(failed.message).not.toContain("guess");
    }
    await using other = connect({ user, password, tls, mechanism: "scram-sha-256" });
    expect(await errorOf(other.publish("secure", event))).toMatchObject({
      code: "unauthenticated",
    });
  });

  test("does not send credentials to a server with an untrusted certificate", async () => {
    const limits = { startTimeoutMs: 0, user, password };
    await using strict = connect({ ...limits, tls: true });
    expect((await errorOf(strict.publish("secure", event))).message).toMatch(/certificate/);
    await using plain = connect({ startTimeoutMs: 0, timeoutMs: 1_000 });
    expect(await errorOf(plain.publish("secure", event))).toMatchObject({ code: "unavailable" });
  });

  test("takes the certificate of a client, and refuses one without", async () => {
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    const servers = server.mutualAddress;
    await using broker = connect({ servers, tls: { ...tls, cert, key } });
    await broker.publish("secure", event);
    await using bare = connect({ servers, tls, startTimeoutMs: 0 });
    expect(await errorOf(bare.publish("secure", event))).toMatchObject({ code: "unavailable" });
  });

  test("is the broker of a service by its URL alone, which has the fleet", async () => {
    const parameters = `fleet=shop&partitions=2&session=2s&timeout=20s&ca=${caFile}`;
    await using service = createService({
      drivers: [kafka],
      logger: silentLogger,
      name: "alone",
      environment: {
        MICRO_ADDRESS: "127.0.0.1:0",
        MICRO_REGISTRY: "memory:",
        MICRO_BROKER: `kafkas://${user}:${password}@${server.secureAddress}?${parameters}`,
      },
    });
    await service.start();
    const { broker } = service;
    expect(broker.name).toBe("kafka");
    const handled: string[] = [];
    await broker.subscribe("orders", ({ id }) => void handled.push(id), { queue: "q" });
    await broker.publish("orders", { ...event, id: "one" });
    await expect.poll(() => handled).toEqual(["one"]);

    await using elsewhere = connect({ user, password, tls });
    const seen: string[] = [];
    await elsewhere.subscribe("orders", ({ id }) => void seen.push(id), { from: "first" });
    await elsewhere.publish("orders", { ...event, id: "two" });
    await expect.poll(() => seen).toEqual(["two"]);
    expect(handled).toEqual(["one"]);
  });
});

test.each<[Parameters<typeof kafkaBroker>[0], RegExp]>([
  [{ servers: "kafka://host" }, /"kafka:\/\/host" is not an address of Kafka/],
  [{ servers: "ada:s3cret@host" }, /"…@host" is not an address/],
  [{ servers: [] }, /servers must be addresses/],
  [{ servers: "host:99999" }, /is not an address/],
  [{ user: "ada" }, /takes user and password together/],
  [{ password: "s3cret" }, /takes user and password together/],
  [{ mechanism: "plain" }, /mechanism is for user and password/],
  [{ mechanism: "md5" as never, user, password }, /mechanism must be/],
  [{ prefix: "a/b" }, /prefix must be up to 100 of/],
  [{ partitions: 0 }, /partitions/],
  [{ replicas: -1 }, /replicas/],
  [{ sessionTimeoutMs: 1 }, /sessionTimeoutMs/],
  [{ timeoutMs: 0 }, /timeoutMs/],
  [{ tls: { ca: 1 as never } }, /ca/],
])("refuses the options %o", (options, message) => {
  expect(() => kafkaBroker(options)).toThrow(message);
  expect(() => kafkaBroker(options)).not.toThrow(/s3cret/);
});

test("refuses invalid options of a link", () => {
  expect(() => new KafkaLink({ servers: "" })).toThrow(/servers/);
});
