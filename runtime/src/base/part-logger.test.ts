import { describe, expect, test, vi } from "vitest";
import { natsBroker } from "../../../drivers/nats/src/broker/core/broker.ts";
import { jetstreamBroker } from "../../../drivers/nats/src/broker/jetstream/broker.ts";
import { goMicroNatsRegistry } from "../../../drivers/nats/src/go-micro/registry/registry.ts";
import { natsRegistry } from "../../../drivers/nats/src/registry/registry.ts";
import type { Broker } from "../broker/broker.ts";
import { httpBroker } from "../broker/http/broker.ts";
import { MemoryBrokerNetwork, memoryBroker } from "../broker/memory/broker.ts";
import type { ConfigTable } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { memorySource } from "../config/memory/source.ts";
import { cachedRegistry } from "../registry/cache/registry.ts";
import { mdnsRegistry } from "../registry/mdns/registry.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { createSelector } from "../selector/registry-selector.ts";
import { createClient } from "../service/create-client.ts";
import { createServer } from "../service/create-server.ts";
import { createService } from "../service/create-service.ts";
import { memoryTransport } from "../transport/memory/transport.ts";
import { createLogger, type Logger } from "./logger.ts";

/** A logger, and the lines written to it, as JSON. */
function recorded(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    logger: createLogger({ format: "json", write: (line) => void lines.push(line) }),
  };
}

const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "" };

/** Makes a subscriber throw, and resolves when one of these logs has the error. */
async function failOn(broker: Broker, ...logs: readonly (readonly string[])[]): Promise<void> {
  const subscription = await broker.subscribe(
    "topic",
    () => {
      throw new RangeError("out of stock");
    },
    { maxDeliveries: 1 },
  );
  await broker.publish("topic", event);
  await vi.waitUntil(() => logs.some((lines) => lines.length > 0), { timeout: 5_000, interval: 2 });
  await subscription.close();
}

const silent = { MICRO_LOG_LEVEL: "silent" };
const inMemory = () => ({
  name: "greeter",
  registry: memoryRegistry({ network: new MemoryRegistryNetwork() }),
  transports: [memoryTransport()],
  environment: silent,
});

test("a broker created by the application logs to the service's logger, with the stack of a subscriber's error", async () => {
  const { logger, lines } = recorded();
  const broker = memoryBroker({ network: new MemoryBrokerNetwork() });
  const service = createService({ ...inMemory(), broker, logger });
  await failOn(broker, lines);
  const { level, error } = JSON.parse(lines[0] ?? "");
  expect(level).toBe("error");
  expect(error).toMatchObject({ name: "RangeError", message: "out of stock" });
  expect(error.stack).toContain("part-logger.test.ts");
  await service.close();
});

test("a server gives its logger to its broker as well", async () => {
  const { logger, lines } = recorded();
  const broker = memoryBroker({ network: new MemoryBrokerNetwork() });
  const { transports, ...options } = inMemory();
  const listen = transports.map((transport) => ({ transport, address: "memory:0" }));
  const server = createServer({ ...options, listen, broker, logger });
  await failOn(broker, lines);
  await server.close();
});

test("a part keeps its own logger, or that of the first service that uses it", async () => {
  const [own, first, second] = [recorded(), recorded(), recorded()];
  const network = new MemoryBrokerNetwork();
  const withOwn = memoryBroker({ network, logger: own.logger });
  const shared = memoryBroker({ network: new MemoryBrokerNetwork() });
  const services = [
    createService({ ...inMemory(), broker: withOwn, logger: first.logger }),
    createService({ ...inMemory(), broker: shared, logger: first.logger }),
    createService({ ...inMemory(), broker: shared, logger: second.logger }),
  ];
  await failOn(withOwn, own.lines, first.lines);
  expect([own.lines.length, first.lines.length]).toEqual([1, 0]);
  await failOn(shared, first.lines, second.lines);
  expect([first.lines.length, second.lines.length]).toEqual([1, 0]);
  for (const service of services) await service.close();
});

test("a configuration reports a source that fails to the service's logger", async () => {
  const { logger, lines } = recorded();
  let breakWatch = () => {};
  const broken = new Promise<void>((resolve) => {
    breakWatch = resolve;
  });
  const source = Object.assign(memorySource({}, "breaking"), {
    watch: (): AsyncIterable<ConfigTable> => ({
      [Symbol.asyncIterator]: () => ({
        next: () => broken.then(() => Promise.reject(new Error("the watch broke"))),
      }),
    }),
  });
  const config = await loadConfig([source]);
  const service = createService({ ...inMemory(), config, logger });
  breakWatch();
  await vi.waitUntil(() => lines.some((line) => line.includes("the watch broke")), 10_000);
  await service.close();
  await config.close();
});

describe("parts that log take the logger of a service", () => {
  const offline = { servers: "nats://127.0.0.1:1" };
  const registry = memoryRegistry();
  test.each([
    memoryBroker(),
    httpBroker({ registry }),
    natsBroker(offline),
    jetstreamBroker(offline),
    cachedRegistry(registry),
    mdnsRegistry(),
    natsRegistry(offline),
    goMicroNatsRegistry(offline),
    createSelector({ registry }),
    createClient({ registry, environment: silent }),
  ])("$name", (part) => {
    expect(part.useLogger).toBeTypeOf("function");
  });
});
