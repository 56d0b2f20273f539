import { RabbitMqLink, rabbitmq, rabbitmqTransport } from "@micro-es/rabbitmq";
import { createClient, createService, silentLogger as logger } from "@micro-es/runtime";
import { createEchoServiceClient, echoHandler } from "@micro-es/test-support/echo";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { registerEchoServiceHandler } from "../../../test/gen/micro/test/v1/echo_micro.ts";
import { type RabbitMqServer, skipWithoutRabbitMq, startRabbitMq } from "./server.ts";

describe.skipIf(skipWithoutRabbitMq)("RabbitMQ, chosen by a URL", () => {
  let server: RabbitMqServer;
  beforeAll(async () => {
    server = await startRabbitMq();
  });
  afterAll(() => server?.close());

  test("is the broker of a service, in a virtual host", async () => {
    await server.control("add_vhost", "shop/eu");
    await server.control("set_permissions", "-p", "shop/eu", "guest", ".*", ".*", ".*");
    const url = `amqp://guest:guest@${server.address},${server.address}/shop%2Feu?exchange=eu&timeout=20s`;
    await using service = createService({
      drivers: [rabbitmq],
      logger,
      name: "echo",
      environment: { MICRO_BROKER: url, MICRO_REGISTRY: "memory:", MICRO_ADDRESS: "memory:0" },
    });
    expect(service.broker.name).toBe("rabbitmq");
    const seen: string[] = [];
    await service.broker.subscribe("topic", ({ id }) => void seen.push(id), { queue: "q" });
    const event = { body: Buffer.from("v"), contentType: "text/plain", typeName: "", id: "1" };
    await service.broker.publish("topic", event);
    await expect.poll(() => seen).toEqual(["1"]);
    const queues = await server.control("list_queues", "-p", "shop/eu", "name");
    expect(queues).toContain("eu=q=topic");
  });

  test("is the transport of a service and its callers, over one link each", async () => {
    const url = `amqp://${server.address}`;
    const environment = { MICRO_TRANSPORT: url, MICRO_BROKER: url, MICRO_REGISTRY: "memory:" };
    const service = createService({ drivers: [rabbitmq], logger, name: "echo", environment });
    registerEchoServiceHandler(service.server, { ...echoHandler("red"), onEchoed() {} });
    await service.start();
    const [address = ""] = service.server.addresses;
    expect(address).toMatch(/^rabbitmq:[0-9a-f-]{36}$/);
    await using link = new RabbitMqLink({ servers: server.address });
    await using client = createClient({ transports: [rabbitmqTransport({ link })] });
    const caller = createEchoServiceClient(client);
    expect(await caller.echo({ text: "hi" }, { address })).toMatchObject({ text: "hi" });
    await service.stop();
    await client.close();
    await link.close();
    expect(await server.control("list_queues", "name")).not.toContain("micro.calls");
  });
});

test.each([
  ["amqp://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["amqp://host?ordering=all", /ordering="all" is not allowed/],
  ["amqp://host?format=go-micro&ordering=key", /not possible in go-micro's format/],
  ["amqp://host?durableQueues=true", /durableQueues is for the format go-micro/],
  ["amqp://host?exchange=a=b", /exchange must be a name of 1 to 127/],
  ["rabbitmq://host?ca=/ca.pem", /are for TLS; use amqps/],
  ["amqps://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["amqp://secret@host", /takes user and password together/],
])("refuses the URL %s", (MICRO_BROKER, message) => {
  const make = () =>
    createService({ name: "echo", drivers: [rabbitmq], environment: { MICRO_BROKER }, logger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_BROKER/);
  expect(make).not.toThrow(/secret/);
});
