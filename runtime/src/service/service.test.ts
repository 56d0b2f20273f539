import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createClient,
  createServer,
  createService,
  MemoryNetwork,
  MemoryRegistryNetwork,
  MicroError,
  memoryBroker,
  memoryRegistry,
  memoryTransport,
  type Service,
  type ServiceOptions,
  tcpTransport,
} from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { errorOf, recordingLogger, registerEcho } from "../../../test/support/server.ts";
import { createTopic } from "../broker/topic.ts";

const quiet = { MICRO_LOG_LEVEL: "silent" };
const inMemory = {
  ...quiet,
  MICRO_REGISTRY: "memory",
  MICRO_TRANSPORT: "memory",
  MICRO_BROKER: "memory",
  MICRO_DRAIN_DELAY: "0ms",
};

/** An isolated service in memory. */
function memoryService(options: ServiceOptions = {}): Service {
  return createService({
    name: "echo",
    registry: memoryRegistry({ network: new MemoryRegistryNetwork() }),
    transports: [memoryTransport({ network: new MemoryNetwork() })],
    broker: memoryBroker(),
    environment: inMemory,
    ...options,
  });
}

describe("the address of a service", () => {
  const registry = memoryRegistry();
  const reach = "backend";
  Object.defineProperty(registry, "guarantees", { value: { ...registry.guarantees, reach } });
  const warnings = ({ lines }: ReturnType<typeof recordingLogger>) =>
    lines.filter(({ level }) => level === "warn").map(({ message }) => message);

  test("by default, only this machine reaches it and its events", async () => {
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    await using service = createService({ name: "echo", registry, environment: quiet });
    registerEcho(service.server);
    service.server.subscribe(topic, () => {});
    await service.start();
    expect(service.server.addresses).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
    const names = await registry.list();
    const nodes = (await Promise.all(names.map((name) => registry.get(name)))).flat();
    expect(nodes.length).toBeGreaterThan(1);
    for (const { address } of nodes) expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    await using server = createServer({ name: "lone", registry, environment: quiet });
    await server.start();
    expect(server.addresses).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  test("triggers a warning if a shared registry publishes it", async () => {
    const logger = recordingLogger();
    const start = async (options: ServiceOptions, variables: Record<string, string> = {}) => {
      const environment = { MICRO_BROKER: "memory", ...variables };
      await using service = createService({
        name: "echo",
        registry,
        logger,
        environment,
        ...options,
      });
      await service.start();
    };
    await start({});
    expect(warnings(logger)).toEqual([
      expect.stringMatching(/MICRO_ADDRESS=0\.0\.0\.0:0 listens on/),
    ]);
    await start({}, { MICRO_ADDRESS: "127.0.0.1:0" });
    await start({ address: "127.0.0.1:0" });
    await start({ listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }] });
    await start({ registry: memoryRegistry() });
    expect(warnings(logger)).toHaveLength(1);
  });
});

const topic = createTopic({ name: "echo.echoed", codec: echo.echo.input });

describe("a service", () => {
  test("is found and called by its own client and by another, and receives events", async () => {
    const heard: string[] = [];
    const name = `echo-${process.pid}`;
    await using service = createService({ name, environment: inMemory });
    registerEcho(service.server);
    service.server.subscribe(topic, ({ text }) => {
      heard.push(text);
    });
    expect(service.state).toBe("created");
    await service.start();
    expect(service.state).toBe("running");
    await using client = createClient({ environment: inMemory });
    const options = { service: name };
    expect((await service.client.unary(echo.echo, { text: "own" }, options)).text).toBe("own");
    expect((await client.unary(echo.echo, { text: "other" }, options)).text).toBe("other");
    await topic.publish(service.broker, { text: "event" });
    await expect.poll(() => heard).toEqual(["event"]);

    await service.stop();
    expect(service.state).toBe("stopped");
    const error = await errorOf(client.unary(echo.echo, {}, { ...options, timeoutMs: 100 }));
    expect(error.outcome).toBe("not-executed");
  });

  test("keeps the parts it is given, and closes only those it created", async () => {
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    const broker = memoryBroker();
    const service = memoryService({ registry, broker });
    expect(service.registry).toBe(registry);
    expect(service.broker).toBe(broker);
    await service.start();
    await service.stop();
    await expect(registry.list()).resolves.toEqual([]);
    await topic.publish(broker, { text: "still open" });
    await expect(service.store.read("a")).rejects.toBeInstanceOf(MicroError);
    await broker.close();
    await registry.close();
  });

  test("registers its name, version and labels from options before variables", async () => {
    await using service = memoryService({
      version: "2.0.0",
      environment: {
        ...inMemory,
        MICRO_NAME: "other",
        MICRO_VERSION: "1.0.0",
        MICRO_METADATA: "zone=b",
      },
    });
    await service.start();
    const [node] = await service.registry.get("echo");
    expect(node).toMatchObject({ version: "2.0.0", metadata: { zone: "b" } });
    expect(node?.id).toBe(`echo-${service.id}`);
  });

  test("takes its name from the environment if the program sets none", () => {
    const service = createService({ environment: { ...inMemory, MICRO_NAME: "from-outside" } });
    expect(service.name).toBe("from-outside");
  });

  test("requires a name that can be registered", () => {
    expect(() => createService({ environment: quiet })).toThrow(/needs a name.*MICRO_NAME/);
    expect(() => createService({ name: "a b", environment: quiet })).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });

  const nonsense = {
    MICRO_REGISTRY: "etcd//",
    MICRO_TRANSPORT: "udp//",
    MICRO_BROKER: "kafka//",
    MICRO_STORE: "redis//",
    MICRO_SELECTOR: "best",
    MICRO_ADDRESS: "here",
    MICRO_ADVERTISE: "a/b",
    MICRO_METADATA: "zone",
    MICRO_TIMEOUT: "soon",
    MICRO_TTL: "15",
    MICRO_GRACE: "-1s",
    MICRO_DRAIN_DELAY: "x",
    MICRO_MAX_CONCURRENT_CALLS: "many",
    MICRO_MAX_CONCURRENT_STREAMS: "0",
    MICRO_LOG_LEVEL: "loud",
    MICRO_LOG_FORMAT: "xml",
    MICRO_MDNS_PORT: "0",
  };
  for (const [variable, value] of Object.entries(nonsense)) {
    test(`is not created with ${variable}=${value}`, () => {
      const create = () => createService({ name: "echo", environment: { [variable]: value } });
      expect(create).toThrow(expect.objectContaining({ code: "invalid_argument" }));
      expect(create).toThrow(new RegExp(`^${variable}="${value}" is not allowed: .*; allowed: `));
    });
  }

  test("warns about a variable that looks misspelled", () => {
    const logger = recordingLogger();
    const environment = { ...inMemory, MICRO_REGISTY: "memory", MICRO_PAYMENT_URL: "x" };
    memoryService({ logger, environment });
    expect(logger.lines.map(({ message }) => message)).toEqual([
      "MICRO_REGISTY is not read by anything; MICRO_REGISTRY is",
    ]);
  });

  test("an option overrides its variable", () => {
    const environment = {
      ...quiet,
      MICRO_REGISTRY: "etcd",
      MICRO_BROKER: "kafka",
      MICRO_TRANSPORT: "udp",
      MICRO_GRACE: "x",
    };
    const service = memoryService({ environment, graceMs: 5 });
    expect(service.registry.name).toBe("memory");
  });

  test("keeps records in a directory with MICRO_STORE=file:…", async () => {
    const directory = await mkdtemp(join(tmpdir(), "service-"));
    try {
      const environment = { ...inMemory, MICRO_STORE: `file:${directory}/store` };
      for (const expected of [undefined, "kept"]) {
        await using service = memoryService({ environment });
        expect(service.store.name).toBe("file");
        expect(service.store.guarantees.durability).toBe("power-loss");
        const record = await service.store.read("key");
        expect(record && Buffer.from(record.value).toString()).toBe(expected);
        await service.store.write("key", Buffer.from("kept"));
        for await (const { key } of service.store.list()) expect(key).toBe("key");
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("does not start with a store that cannot open, and reports why", async () => {
    const environment = { ...inMemory, MICRO_STORE: "file:/dev/null/store" };
    const service = memoryService({ environment });
    await expect(service.start()).rejects.toBeInstanceOf(MicroError);
    expect(service.state).toBe("stopped");
  });
});

describe("hooks", () => {
  test("run in order around the life of the service", async () => {
    const order: string[] = [];
    const service = memoryService();
    registerEcho(service.server);
    for (const name of ["first", "second"]) {
      service.onStart(async () => {
        await new Promise(setImmediate);
        order.push(`start ${name} ${service.server.state}`);
      });
      service.onReady(() => {
        order.push(`ready ${name} ${service.server.state}`);
      });
      service.onStop(async () => {
        await service.store.write("last words", new Uint8Array());
        order.push(`stop ${name} ${service.server.state}`);
      });
    }
    await service.start();
    await service.stop();
    expect(order).toEqual([
      "start first created",
      "start second created",
      "ready first listening",
      "ready second listening",
      "stop second closed",
      "stop first closed",
    ]);
  });

  for (const turn of ["onStart", "onReady"] as const) {
    test(`${turn} that fails ends the start and closes everything`, async () => {
      const logger = recordingLogger();
      const service = memoryService({ logger });
      service[turn](() => Promise.reject(new Error("no table")));
      await expect(service.start()).rejects.toThrow(
        `an ${turn} hook of service echo failed: no table`,
      );
      expect(service.state).toBe("stopped");
      expect(service.server.state).toBe("closed");
      expect(await service.registry.list()).toEqual([]);
      expect(logger.lines.some(({ level }) => level === "error")).toBe(true);
      await expect(service.start()).rejects.toMatchObject({ code: "failed_precondition" });
    });
  }

  test("onStop that fails is logged, lets the rest close, and fails the stop", async () => {
    const logger = recordingLogger();
    const service = memoryService({ logger });
    let ran = false;
    service.onStop(() => {
      ran = true;
    });
    service.onStop(() => {
      throw new Error("cannot flush");
    });
    await service.start();
    await expect(service.stop()).rejects.toThrow("an onStop hook 2 of 2 of service echo failed");
    expect(ran).toBe(true);
    expect(service.state).toBe("stopped");
    expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
    await expect(service.run()).rejects.toMatchObject({ code: "failed_precondition" });
  });
});

describe("run", () => {
  test("resolves when its signal fires and everything is closed", async () => {
    const service = memoryService();
    const controller = new AbortController();
    service.onReady(() => controller.abort());
    await service.run({ signal: controller.signal });
    expect(service.state).toBe("stopped");
  });

  test("does not start with a signal that has fired", async () => {
    const service = memoryService();
    let started = false;
    service.onStart(() => {
      started = true;
    });
    await service.run({ signal: AbortSignal.abort() });
    expect(started).toBe(false);
    expect(service.state).toBe("stopped");
  });

  test("resolves when stop is called, and leaves no signal listener behind", async () => {
    const before = process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");
    const service = memoryService();
    const running = service.run();
    expect(process.listenerCount("SIGTERM") + process.listenerCount("SIGINT")).toBe(before + 2);
    await expect.poll(() => service.state).toBe("running");
    await Promise.all([service.stop(), service.stop(), service.close(), running]);
    expect(process.listenerCount("SIGTERM") + process.listenerCount("SIGINT")).toBe(before);
  });

  test("rejects with the reason when the service cannot start", async () => {
    const network = new MemoryNetwork();
    const listen = [{ transport: memoryTransport({ network }), address: "memory:taken" }];
    await using first = memoryService({ listen });
    await first.start();
    const second = memoryService({ name: "second", listen });
    await expect(second.run()).rejects.toMatchObject({ code: "already_exists" });
    expect(second.state).toBe("stopped");
  });

  test("a stop during the start waits for it and then stops", async () => {
    const service = memoryService();
    let go = () => {};
    service.onStart(
      () =>
        new Promise<void>((resolve) => {
          go = resolve;
        }),
    );
    const running = service.run();
    await expect.poll(() => service.state).toBe("starting");
    const stopped = service.stop();
    go();
    await Promise.all([stopped, running]);
    expect(service.server.state).toBe("closed");
  });

  test("a stop during a failing start ends as well", async () => {
    const service = memoryService();
    let fail = () => {};
    service.onStart(
      () =>
        new Promise<void>((_, reject) => {
          fail = () => reject(new Error("no"));
        }),
    );
    const failed = errorOf(service.start());
    const stopped = service.stop();
    fail();
    await stopped;
    expect((await failed).message).toContain("onStart");
  });

  test("calls in flight at a stop finish; a second stop cuts them off", async () => {
    const service = memoryService();
    let begun = 0;
    service.server.unary(echo.once, async (_request, context) => {
      begun++;
      await new Promise((_, reject) =>
        context.signal.addEventListener("abort", () => reject(context.signal.reason)),
      );
      return {};
    });
    await service.start();
    const failed = errorOf(service.client.unary(echo.once, {}));
    await expect.poll(() => begun).toBe(1);
    const stopped = service.stop(60_000);
    await expect.poll(() => service.server.state).toBe("draining");
    await service.stop(0);
    await stopped;
    expect((await failed).outcome).not.toBe("not-executed");
  });
});

test("a service listens at several places at once, each with its own transport", async () => {
  const directory = await mkdtemp(join(tmpdir(), "service-"));
  const memory = memoryTransport({ network: new MemoryNetwork() });
  const tcp = tcpTransport();
  const addresses = ["127.0.0.1:0", `unix:${directory}/echo.sock`, "memory:echo"];
  try {
    await using service = memoryService({
      transports: [tcp, memory],
      listen: addresses.map((address) => ({
        transport: address.startsWith("memory:") ? memory : tcp,
        address,
      })),
    });
    registerEcho(service.server);
    await service.start();
    for (const address of service.server.addresses) {
      const { text } = await service.client.unary(echo.echo, { text: address }, { address });
      expect(text).toBe(address);
    }
    expect(service.server.stats.started).toBe(3);
    // One server is one node, wherever else it listens.
    expect(await service.registry.get("echo")).toHaveLength(1);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a call that a full server refuses is served by another", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const transports = [memoryTransport({ network: new MemoryNetwork() })];
  const full = memoryService({ registry, transports, maxConcurrentCalls: 1 });
  await using free = memoryService({ registry, transports });
  let answer = () => {};
  full.server.unary(
    echo.once,
    () =>
      new Promise((resolve) => {
        answer = () => resolve({ text: "full" });
      }),
  );
  free.server.unary(echo.once, () => ({ text: "free" }));
  await Promise.all([full.start(), free.start()]);
  const only = { address: full.server.addresses[0] ?? "" };
  const first = free.client.unary(echo.once, {}, only);
  await expect.poll(() => full.server.stats.inFlight).toBe(1);

  const refused = await errorOf(free.client.unary(echo.once, {}, { ...only, retry: false }));
  expect(refused).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
  for (let call = 0; call < 20; call++) {
    expect((await free.client.unary(echo.once, {})).text).toBe("free");
  }
  answer();
  expect((await first).text).toBe("full");
  await full.stop();
});

test("nothing is open before the first use, so a program that only creates parts exits", () => {
  const sockets = () =>
    process.getActiveResourcesInfo().filter((name) => /TCP|UDP|Timeout/.test(name)).length;
  const before = sockets();
  createService({ name: "idle", environment: quiet });
  createServer({ name: "idle", environment: quiet });
  createClient({ environment: quiet });
  expect(sockets()).toBe(before);
});

test("a standalone server and client find each other, and each closes its own parts", async () => {
  const name = `lone-${process.pid}`;
  await using server = createServer({ name, environment: inMemory });
  registerEcho(server);
  await server.start();
  await using client = createClient({ environment: inMemory });
  expect((await client.unary(echo.echo, { text: "hi" }, { service: name })).text).toBe("hi");
});
