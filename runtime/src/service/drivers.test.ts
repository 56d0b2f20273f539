import { describe, expect, test } from "vitest";
import { errorOf, recordingLogger } from "../../../test/support/server.ts";
import { readParameters } from "../base/backend-url.ts";
import { MicroError } from "../base/error.ts";
import { countText } from "../base/text-value.ts";
import { memoryBroker } from "../broker/memory/broker.ts";
import { memorySource } from "../config/memory/source.ts";
import { text } from "../config/readers.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { memoryStore } from "../store/memory/store.ts";
import { memorySync } from "../sync/memory/sync.ts";
import { MemoryNetwork, memoryTransport } from "../transport/memory/transport.ts";
import { configSources } from "./config-sources.ts";
import { createClient } from "./create-client.ts";
import { createServer } from "./create-server.ts";
import { createService } from "./create-service.ts";
import type { Driver, DriverContext, DriverParts } from "./driver.ts";
import type { Service } from "./service.ts";

interface FakeDriver extends Driver {
  /** The events so far, in order. */
  readonly events: string[];
  readonly contexts: DriverContext[];
}

/** A driver of memory parts that records the calls to it. */
function fake(
  scheme: string,
  options: Partial<DriverParts> & { fails?: boolean } = {},
): FakeDriver {
  const events: string[] = [];
  const contexts: DriverContext[] = [];
  const { fails = false, ...changes } = options;
  function recorded<T extends { close(): Promise<void> }>(kind: string, part: T): T {
    events.push(kind);
    const close = part.close.bind(part);
    part.close = async () => {
      events.push(`close ${kind}`);
      await close();
    };
    return part;
  }
  return {
    events,
    contexts,
    schemes: [scheme, `${scheme}s`],
    severalHosts: true,
    open(url, context) {
      events.push(`open ${url.hosts.join(",")}`);
      contexts.push(context);
      readParameters(url, { replicas: countText(5) });
      if (fails)
        throw new MicroError("invalid_argument", "no account is known at x://ada:secret@a");
      const network = new MemoryRegistryNetwork();
      return {
        registry: () => recorded("registry", memoryRegistry({ network })),
        broker: () => recorded("broker", memoryBroker()),
        store: () => recorded("store", memoryStore()),
        sync: () => recorded("sync", memorySync()),
        config: () => recorded("config", memorySource({ greeting: "Hello" })),
        close: async () => void events.push("close"),
        ...changes,
      };
    },
  };
}

const inMemory = {
  MICRO_REGISTRY: "memory",
  MICRO_TRANSPORT: "memory",
  MICRO_BROKER: "memory",
  MICRO_LOG_LEVEL: "silent",
  MICRO_DRAIN_DELAY: "0s",
};

function service(drivers: readonly Driver[], environment: Record<string, string>): Service {
  return createService({ name: "shop", drivers, environment: { ...inMemory, ...environment } });
}

describe("a driver", () => {
  test("is chosen by the URL of a variable", async () => {
    const driver = fake("acme");
    await using it = service([driver], { MICRO_STORE: "acme://a:1?replicas=3" });
    expect(driver.events).toEqual(["open a:1", "store"]);
    await it.start();
    await it.store.write("key", new Uint8Array([1]));
    expect((await it.store.read("key"))?.value).toEqual(new Uint8Array([1]));
  });

  test("is opened once for equal URLs, and closed once, after its parts", async () => {
    const driver = fake("acme");
    const url = "acme://ada:secret@a:1,b:2?replicas=3";
    const it = service([driver], {
      MICRO_REGISTRY: url,
      MICRO_STORE: url,
      MICRO_BROKER: "ACME://ada:secret@a:1,b:2/?replicas=3",
      MICRO_SYNC: "acme://a:1",
    });
    await it.start();
    await it.close();
    await it.close();
    const { events } = driver;
    expect(events.filter((event) => event.startsWith("open"))).toEqual([
      "open a:1,b:2",
      "open a:1",
    ]);
    expect(events.filter((event) => event === "close")).toHaveLength(2);
    const closed = events.slice(events.findIndex((event) => event.startsWith("close")));
    for (const kind of ["registry", "broker", "store"]) {
      expect(closed.indexOf(`close ${kind}`)).toBeGreaterThanOrEqual(0);
      expect(closed.indexOf(`close ${kind}`)).toBeLessThan(closed.lastIndexOf("close"));
    }
    expect(closed.at(-1)).toBe("close");
  });

  test("provides all its parts with MICRO_BACKEND; the runtime provides the rest", async () => {
    const driver = fake("acme");
    const environment = {
      MICRO_BACKEND: "acme:",
      MICRO_SYNC: "memory:",
      MICRO_LOG_LEVEL: "silent",
    };
    const it = createService({ name: "shop", drivers: [driver], environment });
    expect([...driver.events].sort()).toEqual(["broker", "config", "open ", "registry", "store"]);
    expect(it.sync.guarantees.reach).toBe("process");
    await it.close();
    expect(driver.events.at(-1)).toBe("close");
  });

  test("that lacks a part leaves it to the default with MICRO_BACKEND", async () => {
    const lacking: Driver = {
      schemes: ["lone"],
      open: () => ({ store: () => memoryStore(), close: async () => {} }),
    };
    const it = service([lacking], { MICRO_BACKEND: "lone:", MICRO_REGISTRY: "" });
    expect(it.registry.name).toBe("mdns");
    expect(() => service([lacking], { MICRO_SYNC: "lone://host" })).toThrow(
      "MICRO_SYNC=lone://host cannot be used: lone: has no sync; it has store",
    );
    await it.close();
  });

  test("is overridden by an option", async () => {
    const driver = fake("acme");
    const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
    const environment = { ...inMemory, MICRO_REGISTRY: "absent:" };
    const it = createService({ name: "shop", registry, drivers: [driver], environment });
    expect(it.registry).toBe(registry);
    expect(driver.events).toEqual([]);
    await it.close();
  });

  test("receives logger, name, environment, registry and address", async () => {
    const driver = fake("acme");
    const logger = recordingLogger();
    const address = "127.0.0.1:8080";
    const environment = {
      ...inMemory,
      MICRO_BROKER: "acme:",
      MICRO_TRANSPORT: "tcp:",
      MICRO_ADDRESS: address,
    };
    await using it = createService({ name: "shop", drivers: [driver], logger, environment });
    const [context] = driver.contexts;
    expect(context).toMatchObject({ logger, service: "shop", environment });
    expect(context?.registry()).toBe(it.registry);
    expect(context?.address()).toBe(address);
  });

  test("receives no address of a service that does not listen on a socket", async () => {
    const driver = fake("acme");
    await using it = service([driver], { MICRO_BROKER: "acme:", MICRO_ADDRESS: "memory:shop" });
    expect(it.broker.name).toBe("memory");
    expect(driver.contexts[0]?.address()).toBeUndefined();
  });

  test("takes precedence over the runtime's own drivers", async () => {
    const driver = fake("memory");
    const it = service([driver], { MICRO_TRANSPORT: "tcp" });
    expect(driver.events).toContain("registry");
    await it.close();
  });

  test("has its parts checked against the service's requirements", async () => {
    const it = createService({
      name: "shop",
      drivers: [fake("acme")],
      environment: { ...inMemory, MICRO_STORE: "acme:" },
      require: { store: { durability: "power-loss" } },
    });
    expect(await errorOf(it.start())).toMatchObject({ code: "failed_precondition" });
    expect(it.state).toBe("stopped");
  });

  test("provides the listening transport, but with MICRO_BACKEND only one for calls", async () => {
    const network = new MemoryNetwork();
    const transport = () => memoryTransport({ network });
    await using listening = service([fake("acme", { transport })], { MICRO_TRANSPORT: "acme:" });
    await listening.start();
    expect(listening.server.addresses[0]).toMatch(/^memory:/);
    const environment = { ...inMemory, MICRO_TRANSPORT: "", MICRO_BACKEND: "acme:" };
    await using calling = createService({
      name: "shop",
      drivers: [fake("acme", { transport })],
      environment,
    });
    await calling.start();
    expect(calling.server.addresses[0]).toMatch(/^127\.0\.0\.1:/);
  });
});

describe("the sources that MICRO_CONFIG names", () => {
  test("are loaded at the start, later ones overriding earlier ones, and closed with the service", async () => {
    const driver = fake("acme");
    const environment = { MICRO_CONFIG: "acme:,env:SHOP_", SHOP_LIMIT: "10" };
    const it = service([driver], environment);
    expect(() => it.config?.get("greeting", text)).toThrow("the configuration is not loaded yet");
    it.onStart(() => expect(it.config?.get("greeting", text)).toBe("Hello"));
    await it.start();
    expect(it.config?.get("limit", text)).toBe("10");
    await it.close();
    expect(driver.events).toContain("close config");
    expect(driver.events.at(-1)).toBe("close");
  });

  test("end the start when they cannot be loaded", async () => {
    await using it = service([], { MICRO_CONFIG: "file:/does/not/exist.yaml" });
    expect(await errorOf(it.start())).toMatchObject({ code: "not_found" });
  });
});

describe("a service is not created", () => {
  test.each([
    [
      { MICRO_REGISTRY: "etcd://ada:secret@10.0.0.5:2379" },
      "MICRO_REGISTRY=etcd://…@10.0.0.5:2379 needs the driver @micro-es/etcd: npm i @micro-es/etcd, and pass it: " +
        "createService({ drivers: [etcd] }) or drivers: await loadDrivers()",
    ],
    [{ MICRO_STORE: "rediss://secret@a" }, "npm i @micro-es/redis, and"],
    [{ MICRO_BACKEND: "acne://a" }, /npm i @micro-es\/acne, and .*; did you mean acme:\?/],
    [{ MICRO_SYNC: "memry" }, "did you mean memory:?"],
    [{ MICRO_REGISTRY: "etdc://a" }, "; did you mean etcd:? (npm i @micro-es/etcd)"],
    [{ MICRO_BACKEND: "natss://a" }, "; did you mean nats:? (npm i @micro-es/nats)"],
    [{ MICRO_BACKEND: "nats://a" }, /await loadDrivers\(\)$/],
    [
      { MICRO_STORE: "mdns:" },
      "MICRO_STORE=mdns: cannot be used: mdns: has no store; it has registry",
    ],
    [{ MICRO_STORE: "file:" }, "MICRO_STORE=file: cannot be used: file: takes a path"],
    [
      { MICRO_REGISTRY: "mdns:?prt=1" },
      "has no parameter prt; did you mean port? It takes port, interface",
    ],
    [{ MICRO_REGISTRY: "mdns://a,b" }, "mdns: takes one host"],
    [{ MICRO_BACKEND: "acme:?replicas=9" }, 'the parameter replicas="9" is not allowed'],
  ])("with %j", (environment: Record<string, string>, message: string | RegExp) => {
    const create = () => service([fake("acme")], environment);
    const error = expect.objectContaining({ code: "invalid_argument", outcome: "not-executed" });
    expect(create).toThrow(error);
    expect(create).toThrow(message);
    expect(create).toThrow(/^(?!.*secret)/s);
  });

  test("with a driver that fails, and opened parts are closed", async () => {
    const good = fake("good");
    const create = () =>
      service([good, fake("bad", { fails: true })], {
        MICRO_REGISTRY: "good:",
        MICRO_STORE: "bad://ada:secret@a",
      });
    expect(create).toThrow("MICRO_STORE=bad://…@a cannot be used: no account is known at x://…@a");
    await expect.poll(() => good.events.at(-1)).toBe("close");
    expect(good.events).toContain("close registry");
  });
});

describe("drivers serve", () => {
  test("a standalone client", async () => {
    const driver = fake("acme");
    const environment = { MICRO_BACKEND: "acme://a", MICRO_LOG_LEVEL: "silent" };
    const client = createClient({ drivers: [driver], environment });
    expect(driver.events).toEqual(["open a", "registry"]);
    expect(driver.contexts[0]?.service).toBeUndefined();
    expect(driver.contexts[0]?.address()).toBeUndefined();
    await client.close();
    expect(driver.events.slice(2)).toEqual(["close registry", "close"]);
    expect(() => createClient({ environment })).toThrow("MICRO_BACKEND=acme://a needs the driver");
  });

  test("a standalone server", async () => {
    const driver = fake("acme");
    const environment = { ...inMemory, MICRO_BROKER: "acme:" };
    const server = createServer({ name: "shop", drivers: [driver], environment });
    await server.start();
    await server.close();
    expect(driver.events).toEqual(["open ", "broker", "close broker", "close"]);
  });

  test("standalone configuration, until the last source is closed", async () => {
    const driver = fake("acme");
    const environment = { MICRO_CONFIG: "acme://a,acme://b", MICRO_LOG_LEVEL: "silent" };
    const [one, other] = configSources({ drivers: [driver], environment });
    expect(await one?.load()).toEqual({ greeting: "Hello" });
    await one?.close();
    expect(driver.events).not.toContain("close");
    await other?.close();
    expect(driver.events.filter((event) => event === "close")).toHaveLength(2);
  });

  test("no configuration, and are closed at once", async () => {
    const events: string[] = [];
    const driver: Driver = {
      schemes: ["acme"],
      open: () => ({ close: async () => void events.push("close") }),
    };
    const environment = { MICRO_BACKEND: "acme://a", MICRO_LOG_LEVEL: "silent" };
    expect(configSources({ drivers: [driver], environment })).toEqual([]);
    await expect.poll(() => events).toEqual(["close"]);
  });
});

test("a value that is not a driver is refused", () => {
  const drivers = [{ registry: memoryRegistry() }] as unknown as Driver[];
  expect(() => createService({ name: "shop", drivers, environment: inMemory })).toThrow(
    "createService: drivers must be a list of drivers, for example [nats] or await loadDrivers()",
  );
});
