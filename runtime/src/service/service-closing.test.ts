import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { errorOf, recordingLogger } from "../../../test/support/server.ts";
import type { Logger } from "../base/logger.ts";
import { MemoryBrokerNetwork, memoryBroker } from "../broker/memory/broker.ts";
import { createTopic } from "../broker/topic.ts";
import { declareSchema } from "../call/schema-digests.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import type { Registration } from "../registry/registry.ts";
import { MemoryNetwork, memoryTransport } from "../transport/memory/transport.ts";
import type { Listener, Transport } from "../transport/transport.ts";
import { createService } from "./create-service.ts";
import type { Service, ServiceOptions } from "./service.ts";

const exitCode = process.exitCode;
afterEach(() => {
  process.exitCode = exitCode;
});

function service(options: Partial<ServiceOptions> = {}): Service {
  return createService({
    name: "greeter",
    registry: memoryRegistry({ network: new MemoryRegistryNetwork() }),
    transports: [memoryTransport({ network: new MemoryNetwork() })],
    broker: memoryBroker(),
    address: "memory:0",
    environment: {},
    logger: recordingLogger(),
    drainDelayMs: 0,
    ...options,
  });
}

const topic = createTopic({ name: "greeter.stops", codec: echo.echo.input });

const throwing = (): never => {
  throw new Error("it threw at once");
};

/** Closings that fail, and their log messages. */
const closings: readonly (readonly [what: string, close: () => Promise<void>])[] = [
  ["throws at once", throwing],
  ["rejects", () => Promise.reject(new Error("it rejected"))],
  ["rejects with undefined", () => Promise.reject(undefined)],
  ["rejects with a value that cannot be read", () => Promise.reject(Object.create(null))],
  ["never settles", () => new Promise(() => {})],
];

describe("a service stops whatever its parts do:", () => {
  test.each(closings)("one that %s on close", async (_what, close) => {
    const logger = recordingLogger();
    let closed = 0;
    const next = { close: async () => void closed++ };
    const part = { name: "the cellar", close };
    const it = service({ logger, owned: [part, next] });
    const running = it.run();
    await expect.poll(() => it.state).toBe("running");
    await errorOf(it.stop());
    await errorOf(running);
    expect(it.state).toBe("stopped");
    expect(closed).toBe(1);
    expect(process.exitCode).toBe(1);
    const errors = logger.lines.filter(({ level }) => level === "error");
    expect(errors.map(({ message }) => message).join()).toContain("the cellar");
  });

  test.each(["drain", "close"] as const)("a listener whose %s throws at once", async (action) => {
    const inner = memoryTransport({ network: new MemoryNetwork() });
    const transport: Transport = Object.assign(Object.create(inner) as Transport, {
      listen: async (...parameters: Parameters<Transport["listen"]>): Promise<Listener> => {
        const listener = await inner.listen(...parameters);
        listener[action] = throwing;
        return listener;
      },
    });
    let closed = 0;
    const it = service({ transports: [transport], owned: [{ close: async () => void closed++ }] });
    const running = it.run();
    await expect.poll(() => it.state).toBe("running");
    const failure = await errorOf(it.stop(50));
    expect(failure.message).toMatch(/the listener at memory:.*it threw at once/);
    await errorOf(running);
    expect([it.state, it.server.state, closed]).toEqual(["stopped", "closed", 1]);
  });

  test("a logger that throws", async () => {
    const logger: Logger = { debug: throwing, info: () => {}, warn: throwing, error: throwing };
    const it = service({ logger, owned: [{ close: throwing }] });
    await it.start();
    await errorOf(it.stop());
    expect(it.state).toBe("stopped");
  });

  test("a hook of its start that never settles", async () => {
    const it = service();
    it.onStart(() => new Promise(() => {}));
    const running = it.run();
    await expect.poll(() => it.state).toBe("starting");
    await it.stop(20);
    await running;
    expect(it.state).toBe("stopped");
  });

  test("a hook of its stop that never settles", async () => {
    const it = service();
    it.onStop(() => new Promise(() => {}));
    await it.start();
    await it.stop(0);
    expect(it.state).toBe("stopped");
  });

  test.each(["broker", "registry"] as const)(
    "a start that waits for its %s ends at once, and what comes later is undone",
    async (which) => {
      let arrive = () => {};
      const arrival = new Promise<void>((resolve) => {
        arrive = resolve;
      });
      const network = new MemoryRegistryNetwork();
      const registry = slow(memoryRegistry({ network }), "register", () => arrival);
      const broker = slow(memoryBroker(), "subscribe", () => arrival);
      const transport = memoryTransport({ network: new MemoryNetwork() });
      const it = service({
        transports: [transport],
        ...(which === "broker" ? { broker } : { registry }),
      });
      it.server.unary(echo.echo, () => ({}));
      if (which === "broker") {
        const { EchoedTopic } = await import("../../../test/gen/micro/test/v1/echo_micro.ts");
        it.server.subscribe(EchoedTopic, () => {});
      }
      const running = it.run();
      await expect.poll(() => it.server.addresses.length).toBe(1);
      await it.stop(600_000);
      await running;
      expect(it.state).toBe("stopped");
      arrive();
      await new Promise(setImmediate);
      expect(await memoryRegistry({ network }).list()).toEqual([]);
    },
  );

  test("a program ends at the first signal, with an exit code, when a part throws", async () => {
    const program = `
      import { createService, memoryRegistry, memoryTransport, memoryBroker } from "@micro-es/runtime";
      const service = createService({ name: "d", registry: memoryRegistry(), transports: [memoryTransport()],
        broker: memoryBroker(), address: "memory:d", drainDelayMs: 1,
        owned: [{ close() { throw new Error("close threw at once"); } }] });
      service.onReady(() => console.log("ready"));
      await service.run().catch(() => {});`;
    const parameters = [
      "--conditions=@micro-es/source",
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
    ];
    const child = spawn(process.execPath, [...parameters, program], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect(await ended).toEqual([1, null]);
  });
});

describe("a stop while the registry record is renewed", () => {
  test.each([
    ["and is over before the renewal", 20],
    ["and waits for the renewal", 60_000],
  ] as const)("leaves no node registered, %s", async (_when, graceMs) => {
    const network = new MemoryRegistryNetwork();
    let renewals = 0;
    let arrive = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const registry = slow(memoryRegistry({ network }), "register", () => {
      renewals++;
      return renewals === 1 ? Promise.resolve() : arrival;
    });
    const it = service({ registry });
    await it.start();
    declareSchema(it.client, "calls", "acme.Other", "digest");
    await expect.poll(() => renewals).toBe(2);
    const stopped = it.stop(graceMs);
    if (graceMs > 1_000) arrive();
    await stopped;
    arrive();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await memoryRegistry({ network }).get("greeter")).toEqual([]);
  });
});

/** The same part, with one function that waits before it runs. */
function slow<Part extends object, Name extends keyof Part>(
  part: Part,
  name: Name,
  before: () => Promise<void>,
): Part {
  const inner = part[name] as (...parameters: unknown[]) => Promise<Registration>;
  const slowly = async (...parameters: unknown[]) => {
    await before();
    // A backend that ignores its signal.
    return inner.apply(part, parameters.map(withoutSignal));
  };
  return new Proxy(part, {
    get(target, key) {
      if (key === name) return slowly;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function withoutSignal(parameter: unknown): unknown {
  return typeof parameter === "object" && parameter !== null && "signal" in parameter
    ? { ...parameter, signal: undefined }
    : parameter;
}

test("an event handler can stop its service and await it", async () => {
  const broker = memoryBroker({ network: new MemoryBrokerNetwork() });
  const stopping = service({ broker, graceMs: 600_000 });
  const ends: string[] = [];
  stopping.server.subscribe(topic, async ({ text }) => {
    if (text === "stop") await stopping.stop();
    ends.push(text);
  });
  await stopping.start();
  await topic.publish(broker, { text: "other" });
  await topic.publish(broker, { text: "stop" });
  await expect.poll(() => ends).toEqual(["other", "stop"]);
  await stopping.stop();
  expect(stopping.state).toBe("stopped");
  await broker.close();
});

test.each(["stop", "close the server of", "drain"] as const)(
  "an event handler may %s its service although another handler hangs, and its event is settled",
  async (what) => {
    const broker = memoryBroker({ network: new MemoryBrokerNetwork(), closeGraceMs: 60_000 });
    const stopping = service({ broker, graceMs: 100 });
    const steps = {
      stop: () => stopping.stop(),
      "close the server of": () => stopping.server.close(100),
      drain: () => stopping.server.drain(),
    };
    const ends: string[] = [];
    const seen: string[] = [];
    const handle = async ({ text }: { readonly text: string }) => {
      seen.push(text);
      if (text === "hangs" && what !== "drain") await new Promise(() => {});
      await steps[what]();
      ends.push(text);
    };
    stopping.server.subscribe(topic, handle, { queue: "q" });
    await stopping.start();
    if (what !== "drain") await topic.publish(broker, { text: "hangs" });
    await topic.publish(broker, { text: "stops" });
    await expect.poll(() => ends).toEqual(["stops"]);
    await stopping.stop();
    expect(seen.filter((text) => text === "stops")).toHaveLength(1);
    expect(stopping.server.subscriptions).toEqual([]);
  },
);
