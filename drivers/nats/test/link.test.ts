import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  jetstreamBroker,
  NatsLink,
  type NatsOptions,
  nats,
  natsParts,
  natsSource,
  natsStore,
  natsTransport,
} from "@micro-es/nats";
import { createService, loadConfig, MicroError, silentLogger } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { recordingLogger } from "@micro-es/test-support/server";
import { nkeys } from "nats";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { issueCredentials } from "./credentials.ts";
import { skipWithoutNats, startNats } from "./server.ts";

const utf8 = new TextEncoder();

describe.skipIf(skipWithoutNats)("the connection to NATS", () => {
  test("reconnects after the server was down, and reports its state meanwhile", async () => {
    const server = await startNats();
    onTestFinished(() => server.close());
    await using link = new NatsLink({ servers: server.url, timeoutMs: 1_000 });
    await using store = natsStore({ link });
    const states: string[] = [];
    link.status.onStateChange((state) => states.push(state));
    await store.write("key", utf8.encode("before"));
    await server.stop();
    await expect.poll(() => store.state).toBe("lost");
    await expect(store.read("key")).rejects.toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    await server.start();
    await expect.poll(() => store.state).toBe("healthy");
    expect(new TextDecoder().decode((await store.read("key"))?.value)).toBe("before");
    expect(states).toEqual(["lost", "healthy"]);
    await store.close();
    await link.close();
    await server.close();
  });

  test("of many programs that is cut at once returns to each after its own delay", async () => {
    await using server = await startNats({ jetstream: false });
    await using proxy = await FaultProxy.start(server.port);
    const servers = `nats://127.0.0.1:${proxy.port}`;
    const links = Array.from({ length: 40 }, () => new NatsLink({ servers }));
    onTestFinished(async () => {
      vi.useRealTimers();
      for (const link of links) await link.close();
    });
    await Promise.all(links.map((link) => link.open()));
    // Timers go by this clock from here on, and the connections are old.
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.now() + 60_000 });
    let strangers = 0;
    const dialled = async () => {
      // A later dial is admitted later.
      const stranger = connectSocket(proxy.port, "127.0.0.1");
      strangers++;
      await once(stranger, "data");
      stranger.destroy();
      return proxy.accepted - links.length - strangers;
    };
    const all = (wanted: string) =>
      Promise.all(
        links.map(
          ({ status }) =>
            new Promise<void>((resolve) => {
              status.onStateChange((state) => state === wanted && resolve());
            }),
        ),
      );
    const [lost, back] = [all("lost"), all("healthy")];
    proxy.cut();
    await lost;
    await vi.advanceTimersByTimeAsync(99);
    expect(await dialled()).toBe(0);
    await vi.advanceTimersByTimeAsync(51);
    const early = await dialled();
    expect(early).toBeGreaterThan(0);
    expect(early).toBeLessThan(links.length);
    await vi.advanceTimersByTimeAsync(52);
    expect(await dialled()).toBe(links.length);
    await back;
  });

  test("fails clearly when no server listens, and tries again at the next use", async () => {
    const server = await startNats();
    onTestFinished(() => server.close());
    await server.stop();
    await using store = natsStore({ servers: server.url, timeoutMs: 500, startTimeoutMs: 0 });
    const failure = await store.read("key").catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MicroError);
    expect(failure).toMatchObject({ code: "unavailable" });
    expect((failure as MicroError).message).toContain(`${server.url}: nothing listens there`);
    expect(store.state).toBe("lost");
    await server.start();
    expect(await store.read("key")).toBeUndefined();
    await store.close();
    await server.close();
  });

  test("authenticates by password, by token and by nkey", async () => {
    const user = nkeys.createUser();
    const seed = new TextDecoder().decode(user.getSeed());
    const password = 'authorization { user: "ada", password: "s3:cr@t" }';
    const token = 'authorization { token: "t0ken" }';
    const ways: readonly [config: string, who: (address: string) => NatsOptions][] = [
      [password, (servers) => ({ servers, user: "ada", password: "s3:cr@t" })],
      [password, (servers) => ({ servers: servers.replace("//", "//ada:s3:cr%40t@") })],
      [token, (servers) => ({ servers, token: "t0ken" })],
      [token, (servers) => ({ servers: servers.replace("//", "//t0ken@") })],
      [
        `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`,
        (servers) => ({ servers, nkey: seed }),
      ],
    ];
    for (const [config, who] of ways) {
      const server = await startNats({ config });
      onTestFinished(() => server.close());
      const stranger = natsStore({ servers: server.url, timeoutMs: 500 });
      await expect(stranger.read("key")).rejects.toMatchObject({
        code: "unauthenticated",
        message: expect.stringMatching(/refuse who we are; check user and password, token/),
      });
      await stranger.close();
      await using store = natsStore(who(server.url));
      expect(await store.write("key", utf8.encode("v"))).toBe(1n);
      await store.close();
      await server.close();
    }
  });

  test("reads its credentials at each connection, and survives a partially written file", async () => {
    const [ours, others] = [issueCredentials(), issueCredentials()];
    const directory = mkdtempSync(join(tmpdir(), "micro-nats-creds-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const credentials = join(directory, "user.creds");
    await using server = await startNats({ config: ours.config });
    await using proxy = await FaultProxy.start(server.port);
    await using link = new NatsLink({ servers: `nats://127.0.0.1:${proxy.port}`, credentials });
    await expect(link.open()).rejects.toThrow(/no such file/);
    writeFileSync(credentials, others.credentials);
    await expect(link.open()).rejects.toMatchObject({ code: "unauthenticated" });
    writeFileSync(credentials, ours.credentials);
    await link.open();
    writeFileSync(credentials, ours.credentials.slice(0, 100));
    const states: string[] = [];
    link.status.onStateChange((state) => states.push(state));
    proxy.cut();
    await expect.poll(() => states).toEqual(["lost", "healthy"]);
  });

  test.each<[NatsOptions, RegExp]>([
    [{ user: "a", token: "b" }, /one of user and password, token/],
    [{ servers: "nats://a:b@host", token: "c" }, /in options or in addresses/],
    [{ servers: ["nats://a:b@one", "nats://c:d@two"] }, /different users/],
    [{ servers: "ws://a:s3cret@host:80" }, /no address "ws:\/\/…@host:80"; it is nats:\/\//],
    [{ servers: "nats://a:s3cr/et@host" }, /no address "nats:\/\/…@host".*%2F/],
  ])("refuses %j", async (options, message) => {
    await using store = natsStore(options);
    const failure = await store.read("key").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "invalid_argument", outcome: "not-executed" });
    expect((failure as MicroError).message).toMatch(message);
    expect((failure as MicroError).message).not.toContain("s3cr");
  });

  test("speaks TLS, and trusts only the authorities it is given", async () => {
    const directory = mkdtempSync(join(tmpdir(), "micro-nats-tls-"));
    const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    execFileSync(
      "openssl",
      [
        ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj".split(" "),
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ...["-out", cert, "-keyout", key],
      ],
      { stdio: "ignore" },
    );
    const server = await startNats({ config: `tls { cert_file: "${cert}", key_file: "${key}" }` });
    onTestFinished(() => server.close());
    try {
      const distrustful = natsStore({ servers: server.url, timeoutMs: 1_000 });
      await expect(distrustful.read("key")).rejects.toBeInstanceOf(MicroError);
      await distrustful.close();
      const ca = readFileSync(cert, "utf8");
      const store = natsStore({ servers: server.url.replace("nats:", "tls:"), tls: { ca } });
      expect(await store.write("key", utf8.encode("v"))).toBe(1n);
      await store.close();
      await using plain = await startNats({ jetstream: false });
      await using wary = new NatsLink({ servers: plain.url.replace("nats:", "tls:") });
      await expect(wary.open()).rejects.toMatchObject({ code: "unavailable" });
    } finally {
      await server.close();
      rmSync(directory, { recursive: true });
    }
  });

  test("is shared by all parts of a service, and ends with it", async () => {
    const server = await startNats();
    onTestFinished(() => server.close());
    await using proxy = await FaultProxy.start(server.port);
    const servers = `nats://127.0.0.1:${proxy.port}`;
    const environment = { MICRO_ADDRESS: "127.0.0.1:0" };
    const make = (name: string) =>
      createService({
        name,
        environment,
        logger: silentLogger,
        ...natsParts({ servers, logger: silentLogger }),
        require: {
          broker: { delivery: "at-least-once" },
          sync: { reach: "backend" },
          store: { sharing: "backend", fencing: true },
        },
      });
    const [one, two] = [make("one"), make("two")];
    await Promise.all([one.start(), two.start()]);
    expect((await two.registry.get("one")).length).toBe(1);
    const lock = await one.sync.lock("work");
    const fence = { lock: lock.id, token: lock.token };
    await one.store.write("key", utf8.encode("v"), { fence });
    expect((await two.store.read("key"))?.metadata).toEqual({});
    await one.broker.subscribe("topic", () => {}, { queue: "q" });
    expect(proxy.accepted).toBe(2);
    await Promise.all([one.stop(), two.stop()]);
    expect(one.registry.state).toBe("healthy");
    await expect(one.store.read("key")).rejects.toMatchObject({ code: "unavailable" });
    await server.close();
  });

  test("is shared with configuration and transport when passed, and is closed by its creator", async () => {
    const server = await startNats();
    onTestFinished(() => server.close());
    await using proxy = await FaultProxy.start(server.port);
    await using link = new NatsLink({ servers: `nats://127.0.0.1:${proxy.port}` });
    await using config = await loadConfig([natsSource({ link })], { logger: silentLogger });
    const transport = natsTransport({ link });
    const make = (name: string) =>
      createService({
        name,
        config,
        logger: silentLogger,
        environment: {},
        transports: [transport],
        address: "nats:0",
        ...natsParts({ link, logger: silentLogger }),
        require: { transport: { resumption: true }, config: { reach: "backend", watch: true } },
      });
    const [answering, calling] = [make("answering"), make("calling")];
    answering.server.unary(echo.once, (request) => ({ text: request.text }));
    await answering.start();
    await calling.start();
    const options = { service: "answering" };
    expect((await calling.client.unary(echo.once, { text: "x" }, options)).text).toBe("x");
    expect(proxy.accepted).toBe(1);
    await Promise.all([answering.stop(), calling.stop()]);
    expect(link.connected).toBe(true);
  });

  test("is logged once when a service loses it, and once when it is back", async () => {
    await using server = await startNats();
    const log = recordingLogger();
    const service = createService({
      name: "told",
      environment: { MICRO_ADDRESS: "127.0.0.1:0" },
      logger: log,
      ...natsParts({ servers: server.url, logger: silentLogger }),
    });
    onTestFinished(() => service.stop());
    await service.start();
    const parts = ["registry", "broker", "store", "sync"];
    const told = () => log.lines.filter(({ message }) => message.startsWith("parts of"));
    await server.stop();
    const lost = {
      level: "warn",
      message: "parts of the service are lost",
      fields: {
        service: "told",
        parts,
        error: expect.objectContaining({ message: expect.stringContaining(server.url) }),
      },
    };
    await expect.poll(told).toEqual([lost]);
    await server.start();
    await expect.poll(told).toEqual([
      lost,
      {
        level: "info",
        message: "parts of the service are healthy again",
        fields: { service: "told", parts },
      },
    ]);
    await service.stop();
    expect(told()).toHaveLength(2);
  });

  test("single drivers interoperate with services that use all of them", async () => {
    const server = await startNats();
    onTestFinished(() => server.close());
    const { broker, store, owned } = natsParts({ servers: server.url, logger: silentLogger });
    await using alone = jetstreamBroker({ servers: server.url, logger: silentLogger });
    await using aloneStore = natsStore({ servers: server.url });
    const seen: string[] = [];
    await broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    const event = { body: utf8.encode("v"), contentType: "text/plain", typeName: "", id: "one" };
    await alone.publish("topic", event);
    await expect.poll(() => seen).toEqual(["one"]);
    await store.write("key", utf8.encode("v"));
    expect((await aloneStore.read("key"))?.version).toBe(1n);
    for (const part of owned) await part.close();
    await alone.close();
    await aloneStore.close();
  });

  test("is opened to the servers of MICRO_BACKEND, one for all parts", async () => {
    const server = await startNats();
    onTestFinished(() => server.close());
    const MICRO_BACKEND = `nats://127.0.0.1:1,${server.url.slice("nats://".length)}?broker=core`;
    const service = createService({
      name: "told",
      drivers: [nats],
      environment: { MICRO_BACKEND, MICRO_STORE: MICRO_BACKEND, MICRO_ADDRESS: "127.0.0.1:0" },
      logger: silentLogger,
    });
    await service.start();
    const { store, config } = service;
    expect([service.registry.name, store.name, service.sync.name]).toEqual([
      "nats",
      "nats",
      "nats",
    ]);
    expect(service.broker.guarantees.delivery).toBe("at-most-once");
    expect(config?.snapshot.values).toEqual({});
    expect(await store.write("key", utf8.encode("v"))).toBe(1n);
    await service.stop();
  });
});
