import { transportContract } from "@micro-es/contract/transport";
import { answering, callsSurvive, failure, outgoing } from "@micro-es/contract/transport-fixture";
import { RabbitMqLink, rabbitmqTransport } from "@micro-es/rabbitmq";
import type { Transport } from "@micro-es/runtime";
import { echo } from "@micro-es/test-support/echo";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RabbitMqServer, skipWithoutRabbitMq, startRabbitMq } from "./server.ts";

describe.skipIf(skipWithoutRabbitMq)("transport over queues of RabbitMQ", () => {
  let server: RabbitMqServer;
  let link: RabbitMqLink;
  beforeAll(async () => {
    server = await startRabbitMq();
    link = new RabbitMqLink({ servers: server.address });
  });
  afterAll(async () => {
    await link?.close();
    await server?.close();
  });

  const under = {
    create: (limits = {}) => rabbitmqTransport({ link, ...limits }),
    freeAddress: () => "rabbitmq:0",
    nowhere: "rabbitmq:nowhere.at.all",
  };
  for (const { name, run } of transportContract(under)) test(name, run);

  test("loses no call when its connections are cut and the server is killed", async () => {
    await using away = await startRabbitMq();
    await using proxy = await FaultProxy.start(away.port);
    await using here = new RabbitMqLink({ servers: `127.0.0.1:${proxy.port}` });
    await using there = new RabbitMqLink({ servers: away.address });
    // RabbitMQ takes seconds to start.
    const patient = { keepaliveIntervalMs: 60_000 };
    const [from, to] = [here, there].map((of) => rabbitmqTransport({ link: of, ...patient })) as [
      Transport,
      Transport,
    ];
    await callsSurvive(from, to, under, async (moreResponses) => {
      for (let cut = 0; cut < 3; cut++) {
        proxy.cut();
        await moreResponses();
      }
      await away.stop();
      await away.start();
      await moreResponses();
    });
  });

  test("a channel ends soon after the process of its listener was killed", async () => {
    await using proxy = await FaultProxy.start(server.port);
    await using away = new RabbitMqLink({ servers: `127.0.0.1:${proxy.port}` });
    const listener = await rabbitmqTransport({ link: away }).listen("rabbitmq:0", answering({}));
    const transport = rabbitmqTransport({ link });
    const channel = await transport.dial(listener.address);
    proxy.refuse(true);
    proxy.cut();
    const call = channel.unary(echo.once, { text: "x" }, outgoing({ timeoutMs: 60_000 }));
    await failure(call, "unavailable", "unknown");
    expect((await channel.closed)?.code).toBe("unavailable");
    await failure(transport.dial(listener.address), "unavailable", "not-executed");
  });

  test("spreads connections over the listeners of a group", async () => {
    const group = "echo";
    const used = new Set<number>();
    const listen = (member: number) => {
      const unary = (request: { readonly text: string }) => {
        used.add(member);
        return { text: request.text };
      };
      return rabbitmqTransport({ link, group }).listen("rabbitmq:0", answering({ unary }));
    };
    const listeners = await Promise.all([1, 2, 3].map(listen));
    const transport = rabbitmqTransport({ link });
    for (let index = 0; index < 20; index++) {
      const channel = await transport.dial(`rabbitmq:${group}`);
      await channel.unary(echo.once, { text: "x" }, outgoing());
      await channel.close();
    }
    expect(used.size).toBe(3);
    for (const listener of listeners) await listener.close();
  });
});
