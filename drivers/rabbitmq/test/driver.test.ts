import { rabbitmq } from "@micro-es/rabbitmq";
import { createService, silentLogger as logger } from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { skipWithoutRabbitMq, startRabbitMq } from "./server.ts";

describe.skipIf(skipWithoutRabbitMq)("RabbitMQ, chosen by a URL", () => {
  test("is the broker of a service, in a virtual host", async () => {
    await using server = await startRabbitMq();
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
});

test.each([
  ["amqp://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["amqp://host?ordering=all", /ordering="all" is not allowed/],
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
