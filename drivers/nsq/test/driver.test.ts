import { nsq } from "@micro-es/nsq";
import { createService, silentLogger } from "@micro-es/runtime";
import { expect, test } from "vitest";
import { startNsqd } from "./server.ts";

const logger = silentLogger;

test("NSQ is the broker of a service that a URL of the environment names", async () => {
  await using server = await startNsqd();
  await using service = createService({
    drivers: [nsq],
    logger,
    name: "stats",
    environment: {
      MICRO_ADDRESS: "127.0.0.1:0",
      MICRO_REGISTRY: "memory:",
      MICRO_BROKER: `nsq://${server.address}?prefix=shop.&timeout=20s&ackWait=5s`,
    },
  });
  await service.start();
  expect(service.broker.name).toBe("nsq");
  const seen: string[] = [];
  await service.broker.subscribe("orders", ({ id }) => void seen.push(id), { queue: "stats" });
  const body = Buffer.from("x");
  await service.broker.publish("orders", {
    id: "a",
    body,
    contentType: "text/plain",
    typeName: "",
  });
  await expect.poll(() => seen).toEqual(["a"]);
  await expect.poll(() => server.depth("shop.orders", "stats")).toBe(0);
});

test.each([
  ["nsq://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["nsq://host?ackWait=5", /ackWait="5" is not allowed/],
  ["nsq://host?ackWait=10ms", /ackWaitMs must be/],
  ["nsq://host?ca=/ca.pem", /are for TLS; use nsqs/],
  ["nsqs://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["nsq://ada:s3cret@host", /a secret and no password/],
  ["nsq://host/shop", /takes no path/],
  ["nsq://host?prefix=a/b", /prefix must be/],
])("refuses the URL %s", (MICRO_BROKER, message) => {
  const make = () =>
    createService({ name: "stats", drivers: [nsq], environment: { MICRO_BROKER }, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_BROKER/);
});
