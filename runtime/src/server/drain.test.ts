import {
  MemoryNetwork,
  MemoryRegistryNetwork,
  memoryBroker,
  memoryRegistry,
  memoryTransport,
  type Registry,
  silentLogger,
} from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { echo } from "../../../test/support/echo.ts";
import { errorOf, outgoing } from "../../../test/support/server.ts";
import { createTopic } from "../broker/topic.ts";
import { buildServer } from "./rpc-server.ts";

const topic = createTopic({ name: "echo.echoed", codec: echo.echo.input });

/** A server with one call that completes when the test says so. */
async function busyServer(drainDelayMs = 0) {
  const transport = memoryTransport({ network: new MemoryNetwork() });
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const server = buildServer({
    name: "echo",
    registry,
    drainDelayMs,
    listen: [{ transport, address: "memory:echo" }],
  });
  let answer = () => {};
  const begun = new Promise<void>((resolve) => {
    server.unary(echo.once, async (_request, context) => {
      await new Promise<void>((done, fail) => {
        answer = done;
        context.signal.addEventListener("abort", () => fail(context.signal.reason));
        resolve();
      });
      return { text: "finished" };
    });
  });
  server.unary(echo.echo, ({ text }) => ({ text }));
  await server.start();
  const channel = await transport.dial("memory:echo");
  const inFlight = channel.unary(echo.once, {}, outgoing());
  await begun;
  return { server, registry, channel, inFlight, answer: () => answer() };
}

describe("drain", () => {
  test("leaves the registry first, keeps serving, then refuses, and waits for calls in flight", async () => {
    const { server, registry, channel, inFlight, answer } = await busyServer(150);
    const drained = server.drain();
    await expect.poll(() => registry.get("echo")).toEqual([]);
    expect(server.state).toBe("draining");
    // A caller that does not know of the drain yet still gets a response.
    expect((await channel.unary(echo.echo, { text: "late" }, outgoing())).text).toBe("late");

    await expect.poll(() => channel.state).toBe("draining");
    const refused = await errorOf(channel.unary(echo.echo, {}, outgoing()));
    expect(refused).toMatchObject({ code: "unavailable", outcome: "not-executed" });

    let done = false;
    void drained.then(() => {
      done = true;
    });
    await new Promise(setImmediate);
    expect(done).toBe(false);
    answer();
    expect((await inFlight).text).toBe("finished");
    await drained;
    await server.close();
    expect(server.state).toBe("closed");
  });

  test("is cut off when the grace ends", async () => {
    const { server, inFlight } = await busyServer();
    const failed = errorOf(inFlight);
    await server.close(50);
    expect((await failed).code).toMatch(/canceled|unavailable/);
    expect(server.stats.inFlight).toBe(0);
  });

  test("can be shortened by a second close", async () => {
    const { server, inFlight } = await busyServer(60_000);
    const failed = errorOf(inFlight);
    const closed = server.close(60_000);
    await expect.poll(() => server.state).toBe("draining");
    await server.close(0);
    await closed;
    await failed;
  });

  test("does not wait for a registry that never responds", async () => {
    const inner = memoryRegistry({ network: new MemoryRegistryNetwork() });
    const registry: Registry = Object.assign(Object.create(inner) as Registry, {
      name: "hanging",
      register: async (...parameters: Parameters<Registry["register"]>) => {
        const registration = await inner.register(...parameters);
        return { node: registration.node, active: true, close: () => new Promise<void>(() => {}) };
      },
    });
    const transport = memoryTransport({ network: new MemoryNetwork() });
    const server = buildServer({
      name: "echo",
      registry,
      listen: [{ transport, address: "memory:0" }],
    });
    await server.start();
    await server.close(20);
    expect(server.state).toBe("closed");
  });

  test("closing twice, or before the start, is harmless; starting after it is refused", async () => {
    const server = buildServer({ name: "echo", listen: [] });
    await server.close();
    await server.close(10);
    await expect(server.start()).rejects.toMatchObject({ code: "failed_precondition" });
  });
});

describe("subscribers", () => {
  test("receive events while the server listens, and finish those in flight", async () => {
    const broker = memoryBroker({ logger: silentLogger });
    const server = buildServer({ name: "echo", listen: [], broker });
    const taken: string[] = [];
    let finish = () => {};
    server.subscribe(
      topic,
      async ({ text }) => {
        if (text === "slow") {
          await new Promise<void>((resolve) => {
            finish = resolve;
            taken.push("slow begins");
          });
        }
        taken.push(text);
      },
      { name: "micro.test.v1.EchoService/OnEchoed", maxDeliveries: 1 },
    );
    await topic.publish(broker, { text: "too early" });
    await server.start();
    await topic.publish(broker, { text: "slow" });
    await expect.poll(() => taken).toEqual(["slow begins"]);
    const closed = server.close(10_000);
    await expect.poll(() => server.state).toBe("draining");
    finish();
    await closed;
    expect(taken).toEqual(["slow begins", "slow"]);
    await topic.publish(broker, { text: "too late" });
    expect(taken).toEqual(["slow begins", "slow"]);
    await broker.close();
  });

  test("need a broker", () => {
    const server = buildServer({ name: "echo", listen: [] });
    expect(() => server.subscribe(topic, () => {})).toThrow(/without a broker/);
  });
});
