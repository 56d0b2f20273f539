import { pubsub, pubsubBroker } from "@micro-es/pubsub";
import { createService, silentLogger as logger } from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { skipWithoutPubSub, startPubSub } from "./server.ts";

const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "", id: "1" };
const others = { MICRO_REGISTRY: "memory:", MICRO_ADDRESS: "memory:0" };

describe.skipIf(skipWithoutPubSub)("Pub/Sub, chosen by a URL", () => {
  test.each([
    ["pubsub://acme-prod?fleet=eu&timeout=20s&emulator=", "", {}],
    ["pubsub://acme-prod?fleet=eu", "PUBSUB_EMULATOR_HOST", {}],
    ["pubsub:?fleet=eu", "PUBSUB_EMULATOR_HOST", { GOOGLE_CLOUD_PROJECT: "acme-prod" }],
  ])("is the broker of a service: %s", async (url, variable, more) => {
    await using server = await startPubSub();
    const MICRO_BROKER = variable === "" ? `${url}${server.address}` : url;
    const environment = {
      ...{ MICRO_BROKER, ...others, ...more },
      ...(variable === "" ? {} : { [variable]: server.address }),
    };
    await using service = createService({ drivers: [pubsub], logger, name: "echo", environment });
    expect(service.broker.name).toBe("pubsub");
    const seen: string[] = [];
    await service.broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    // A broker that was made in code is in the same fleet.
    const options = { project: "acme-prod", emulator: server.address, prefix: "eu", logger };
    await using publisher = pubsubBroker(options);
    await publisher.publish("topic", event);
    await expect.poll(() => seen).toEqual(["1"]);
  });
});

test.each([
  ["pubsub://acme-prod?timout=5s", /no parameter timout; did you mean timeout/],
  ["pubsub://acme-prod?ordering=all", /ordering="all" is not allowed/],
  ["pubsub://acme-prod?fleet=goog-x", /fleet must be a letter and up to 63/],
  ["pubsub://127.0.0.1:8085", /an address is given as in pubsub:\/\/acme-prod\?emulator=/],
  ["pubsub://acme-prod/topic", /the path \/topic is not used/],
  ["pubsub://acme-prod?emulator=a:1&endpoint=b", /takes an emulator or an endpoint, not both/],
  [
    "pubsub://acme-prod?emulator=http://a:1",
    /"http:\/\/a:1" is not an address of an emulator; use host:port/,
  ],
  ["pubsub://acme-prod?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["pubsub://acme-prod?ackWait=2s", /ackWaitMs must be at least 10000 on Pub\/Sub/],
  ["pubsub://ada:secret@acme-prod", /Pub\/Sub has no users; use credentials=/],
])("refuses the URL %s", (MICRO_BROKER, message) => {
  const environment = { MICRO_BROKER };
  const make = () => createService({ name: "echo", drivers: [pubsub], environment, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_BROKER/);
  expect(make).not.toThrow(/secret/);
});

test("needs a project", async () => {
  const environment = { PUBSUB_EMULATOR_HOST: "127.0.0.1:1" };
  await using broker = pubsubBroker({ environment, logger });
  await expect(broker.publish("topic", event)).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("needs the id of a project: pubsub://my-project"),
  });
  await expect(broker.subscribe("topic", () => {})).rejects.toThrow(/needs the id of a project/);
});
