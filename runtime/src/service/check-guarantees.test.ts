import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLogger } from "../base/logger.ts";
import { memoryBroker } from "../broker/memory/broker.ts";
import { envSource } from "../config/env/source.ts";
import { loadConfig } from "../config/load.ts";
import { memorySource } from "../config/memory/source.ts";
import { memoryTransport } from "../transport/memory/transport.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import type { Requirements } from "./check-guarantees.ts";
import { createService } from "./create-service.ts";
import type { ServiceOptions } from "./service.ts";

const environment = {
  MICRO_REGISTRY: "memory",
  MICRO_TRANSPORT: "memory",
  MICRO_BROKER: "memory",
  MICRO_LOG_LEVEL: "silent",
};

const start = async (require: Requirements, options: ServiceOptions = {}) => {
  const broker = memoryBroker({ overflow: "block", logger: silentLogger });
  const service = createService({ name: "picky", environment, broker, require, ...options });
  try {
    await service.start();
  } finally {
    await service.stop();
    await broker.close();
  }
};

test.each<Requirements>([
  {},
  { broker: { delivery: "at-most-once" } },
  { broker: { delivery: "at-least-once", ordering: "key", redelivery: true, maxEventBytes: 1 } },
  { store: { reads: "read-your-writes", durability: "none", fencing: true } },
  { sync: { reach: "process" }, registry: { consistency: "eventual" } },
  { transport: { reach: "process", flowControl: "stream", maxMessageBytes: 4 * 1024 * 1024 } },
])("a service starts if its parts guarantee what it requires, or more: %j", async (require) => {
  await start(require);
});

test("a service does not start on a part that guarantees less, and names it", async () => {
  await expect(
    start({ broker: { durability: "process-crash" }, sync: { reach: "backend" } }),
  ).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringMatching(
      /service picky.*broker\.durability: wanted process-crash, and the memory broker gives none; sync\.reach: wanted backend, and the memory sync gives process/,
    ),
  });
  await expect(start({ broker: { ordering: "publisher" } })).rejects.toThrow("gives key");
  await expect(start({ broker: { maxEventBytes: 2 ** 40 } })).rejects.toThrow("maxEventBytes");
});

test("a requirement that no part can meet is refused by name", async () => {
  const refuse = (require: object) =>
    expect(start(require)).rejects.toMatchObject({ code: "invalid_argument" });
  await refuse({ brocker: {} });
  await refuse({ broker: { speed: "high" } });
});

test("every address of a service must meet the requirements of its transport", async () => {
  const address = `unix:${join(tmpdir(), `micro-es-requires-${process.pid}.sock`)}`;
  const listen = [
    { transport: tcpTransport(), address: "127.0.0.1:0" },
    { transport: tcpTransport(), address },
    { transport: memoryTransport(), address: "memory:0" },
  ];
  await start({ transport: { drain: true, cancellation: true } }, { listen });
  const missed = expect(start({ transport: { reach: "network" } }, { listen })).rejects;
  await missed.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining(
      `transport.reach: wanted network, and the tcp transport at ${address} gives host; ` +
        "transport.reach: wanted network, and the memory transport at memory:0 gives process",
    ),
  });
  await expect(start({ transport: { encrypted: true } }, { listen })).rejects.toThrow(
    "transport.encrypted: wanted true, and the tcp transport at 127.0.0.1:0 gives false",
  );
});

test("a configuration guarantees what all its sources do", async () => {
  const env = envSource({ prefix: "PICKY_", env: {} });
  await using fixed = await loadConfig([env], { logger: silentLogger });
  await using changing = await loadConfig([memorySource(), env], { logger: silentLogger });
  await start({ config: { consistency: "table", reach: "process" } }, { config: fixed });
  await start({ config: { watch: true } }, { config: changing });
  await expect(
    start({ config: { watch: true, lastKnownGood: "restart" } }, { config: fixed }),
  ).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining(
      "config.watch: wanted true, and the config gives false; " +
        "config.lastKnownGood: wanted restart, and the config gives process",
    ),
  });
});

test("a missing part that is required fails the start", async () => {
  await expect(start({ config: { reach: "backend" } })).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining("config: the service has none"),
  });
});
