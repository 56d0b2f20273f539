import { setTimeout as sleep } from "node:timers/promises";
import { NatsLink } from "@micro-es/runtime/nats";
import { natsTransport } from "@micro-es/runtime/transport/nats";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { transportContract } from "../contract/transport.ts";
import { answering, outgoing } from "../contract/transport-fixture.ts";
import { echo } from "../support/echo.ts";
import { type NatsServer, skipWithoutNats, startNats } from "./server.ts";

describe.skipIf(skipWithoutNats)("transport over NATS subjects", () => {
  let server: NatsServer;
  let link: NatsLink;
  beforeAll(async () => {
    server = await startNats();
    link = new NatsLink({ servers: server.url });
  });
  afterAll(async () => {
    await link?.close();
    await server?.close();
  });

  const under = {
    create: (limits = {}) => natsTransport({ link, ...limits }),
    freeAddress: () => "nats:0",
    nowhere: "nats:nowhere.at.all",
  };
  for (const { name, run } of transportContract(under)) test(name, run);

  test("loses no call when the connection to NATS is lost and comes back", async () => {
    const away = await startNats();
    onTestFinished(() => away.close());
    await using here = new NatsLink({ servers: away.url });
    await using there = new NatsLink({ servers: away.url });
    let handled = 0;
    const dispatcher = answering({
      unary: async (request) => {
        handled++;
        await sleep(5);
        return { text: request.text };
      },
    });
    const listener = await natsTransport({ link: there }).listen("nats:0", dispatcher);
    const channel = await natsTransport({ link: here }).dial(listener.address);
    let stopped = false;
    const answered: string[] = [];
    const callers = Array.from({ length: 8 }, async (_, caller) => {
      for (let turn = 0; !stopped; turn++) {
        const text = `${caller}:${turn}`;
        const answer = await channel.unary(echo.once, { text }, outgoing({ timeoutMs: 20_000 }));
        expect(answer.text).toBe(text);
        answered.push(text);
      }
    });
    for (let cut = 0; cut < 3; cut++) {
      const before = answered.length;
      await expect.poll(() => answered.length).toBeGreaterThan(before + 20);
      await away.stop();
      await sleep(200);
      await away.start();
    }
    const before = answered.length;
    await expect.poll(() => answered.length).toBeGreaterThan(before + 20);
    stopped = true;
    await Promise.all(callers);
    expect(handled).toBe(answered.length);
    await channel.close();
    await listener.close();
    await away.close();
  });

  test("spreads connections over the listeners of a group", async () => {
    const group = "micro.call.group.echo";
    const used = new Set<number>();
    const listeners = await Promise.all(
      [1, 2, 3].map((member) =>
        natsTransport({ link, group }).listen(
          "nats:0",
          answering({
            unary: (request) => {
              used.add(member);
              return { text: request.text };
            },
          }),
        ),
      ),
    );
    const transport = natsTransport({ link });
    for (let index = 0; index < 40; index++) {
      const channel = await transport.dial(`nats:${group}`);
      await channel.unary(echo.once, { text: "x" }, outgoing());
      await channel.close();
    }
    expect(used.size).toBe(3);
    for (const listener of listeners) await listener.close();
  });
});
