import { expect, test } from "vitest";
import {
  createEchoServiceClient,
  EchoedTopic,
  registerEchoServiceHandler,
} from "../../../test/gen/micro/test/v1/echo_micro.ts";
import { echoHandler } from "../../../test/support/echo.ts";
import { memoryBroker } from "../broker/memory/broker.ts";
import { MemoryRegistryNetwork, memoryRegistry } from "../registry/memory/registry.ts";
import { createService } from "../service/create-service.ts";
import { builtWith, builtWithMetadata, declareSchema } from "./schema-digests.ts";

const digest = expect.stringMatching(/^[0-9a-f]{16}$/);

function service() {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  return createService({
    name: "teller",
    registry,
    broker: memoryBroker(),
    address: "127.0.0.1:0",
    environment: { MICRO_LOG_LEVEL: "silent" },
  });
}

test("a service publishes the digests of what it serves, calls and subscribes to", async () => {
  await using teller = service();
  registerEchoServiceHandler(teller.server, { ...echoHandler("teller"), onEchoed() {} });
  createEchoServiceClient(teller.client);
  await teller.start();
  const [node] = await teller.registry.get("teller");
  const { serves, calls, subscribes, complete } = builtWith(node ?? { metadata: {} });
  expect([...serves]).toEqual([["micro.test.v1.EchoService", digest]]);
  expect(calls).toEqual(serves);
  expect([...subscribes]).toEqual([["echo.echoed", digest]]);
  expect(complete).toBe(true);
});

test("later calls and subscriptions are published too, under the same node", async () => {
  await using teller = service();
  await teller.start();
  const [before] = await teller.registry.get("teller");
  expect(builtWith(before ?? { metadata: {} }).calls.size).toBe(0);
  createEchoServiceClient(teller.client);
  await EchoedTopic.subscribe(teller.broker, () => {});
  await expect
    .poll(async () => {
      const [node] = await teller.registry.get("teller");
      return [node?.id, node?.metadata.calls, node?.metadata.subscribes];
    })
    .toEqual([before?.id, expect.stringContaining("EchoService="), expect.any(String)]);
  await teller.close();
  expect(await teller.registry.get("teller")).toEqual([]);
});

test("a record stays within its limit: a list that is too long is truncated, with a mark", () => {
  const client = {};
  for (let i = 0; i < 100; i++) {
    declareSchema(client, "calls", `acme.v1.Service${i}`, "0123456789abcdef");
  }
  const metadata = builtWithMetadata([client]);
  expect(metadata.calls?.length).toBeLessThanOrEqual(1_026);
  const read = builtWith({ metadata });
  expect(read.complete).toBe(false);
  expect(read.calls.size).toBeGreaterThan(20);
});

test("only digests are read from foreign records", () => {
  const { serves } = builtWith({ metadata: { schema: "a.B=0123456789abcdef,<b>=1,c.D=xyz,,=" } });
  expect([...serves]).toEqual([["a.B", "0123456789abcdef"]]);
  expect(builtWith({ metadata: {} }).complete).toBe(true);
});
