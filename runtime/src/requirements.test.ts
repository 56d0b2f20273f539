import { expect, test } from "vitest";
import { memoryBroker } from "./broker/memory.ts";
import { createService } from "./create-service.ts";
import { silentLogger } from "./logger.ts";
import type { Requirements } from "./requirements.ts";

const environment = {
  MICRO_REGISTRY: "memory",
  MICRO_TRANSPORT: "memory",
  MICRO_BROKER: "memory",
  MICRO_LOG_LEVEL: "silent",
};

const start = async (require: Requirements) => {
  const broker = memoryBroker({ overflow: "block", logger: silentLogger });
  const service = createService({ name: "picky", environment, broker, require });
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
])("a service starts whose parts promise what it requires, or more: %j", async (require) => {
  await start(require);
});

test("a service does not start on a part that promises less, and says which", async () => {
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

test("a requirement that nothing can meet is refused by name", async () => {
  const refuse = (require: object) =>
    expect(start(require)).rejects.toMatchObject({ code: "invalid_argument" });
  await refuse({ brocker: {} });
  await refuse({ broker: { speed: "high" } });
});
