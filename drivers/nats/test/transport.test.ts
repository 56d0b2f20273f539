import { setTimeout as sleep } from "node:timers/promises";
import { transportContract } from "@micro-es/contract/transport";
import { answering, callsSurvive, outgoing } from "@micro-es/contract/transport-fixture";
import { NatsLink, natsTransport } from "@micro-es/nats";
import { echo } from "@micro-es/test-support/echo";
import { freePort } from "@micro-es/test-support/free-ports";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

  /** Calls from one connection to another while something is done to them. */
  async function callDuring(
    servers: readonly string[],
    faults: (moreResponses: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    await using here = new NatsLink({ servers });
    await using there = new NatsLink({ servers });
    await callsSurvive(
      natsTransport({ link: here }),
      natsTransport({ link: there }),
      under,
      faults,
    );
  }

  test("loses no call when the connection to NATS is lost and comes back", async () => {
    await using away = await startNats();
    await callDuring([away.url], async (moreResponses) => {
      for (let cut = 0; cut < 3; cut++) {
        await away.stop();
        await sleep(200);
        await away.start();
        await moreResponses();
      }
    });
  });

  test("loses no call when connections move to another server of the cluster, and back", async () => {
    const ports = await Promise.all([freePort(), freePort()]);
    const member = (index: number) => {
      const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
      const config = `cluster { name: fleet, listen: "127.0.0.1:${ports[index]}", routes: [${routes}] }`;
      return startNats({ config, jetstream: false });
    };
    await using one = await member(0);
    await using two = await member(1);
    await callDuring([one.url, two.url], async (moreResponses) => {
      for (const server of [one, two, one]) {
        await server.stop();
        await moreResponses();
        await server.start();
        await moreResponses();
      }
    });
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
