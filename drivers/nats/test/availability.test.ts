import { jetstreamBroker, NatsLink, natsBroker, natsParts } from "@micro-es/nats";
import { createService, type MicroError, silentLogger } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { errorOf, recordingLogger, registerEcho } from "@micro-es/test-support/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { skipWithoutNats, startNats } from "./server.ts";

const loneClient = new URL("lone-client.ts", import.meta.url).href;

const event = { body: new Uint8Array([1]), contentType: "text/plain", typeName: "" };

describe.skipIf(skipWithoutNats)("a program whose NATS is unreachable", () => {
  test("at the start: the service waits, names what it waits for, and starts once NATS does", async () => {
    await using server = await startNats();
    await server.stop();
    const logger = recordingLogger();
    await using service = createService({
      name: "early",
      environment: {},
      logger,
      ...natsParts({ servers: server.url, logger: silentLogger }),
    });
    const started = service.start();
    await expect
      .poll(() => logger.lines.map(({ message }) => message))
      .toContain("parts of the service are lost");
    const { error } = logger.lines.find(({ level }) => level === "warn")?.fields ?? {};
    expect((error as MicroError).message).toMatch(
      new RegExp(`connect to NATS at ${server.url}: .*; trying again for 30 s`),
    );
    expect(service.registry.state).toBe("lost");
    await server.start();
    await started;
    expect(service.state).toBe("running");
    expect(service.registry.state).toBe("healthy");
  });

  test("for longer than the start waits: the start fails and names the address", async () => {
    await using server = await startNats();
    await server.stop();
    const service = createService({
      name: "early",
      environment: {},
      logger: silentLogger,
      ...natsParts({ servers: server.url, startTimeoutMs: 300, logger: silentLogger }),
    });
    const failure = await errorOf(service.start());
    expect(failure).toMatchObject({ code: "unavailable" });
    expect(failure.message).toContain(server.url);
    expect(service.state).toBe("stopped");
  });

  test("at the start: a stop does not wait for it", async () => {
    await using server = await startNats();
    await server.stop();
    const service = createService({
      name: "early",
      environment: {},
      logger: silentLogger,
      ...natsParts({ servers: server.url, startTimeoutMs: 600_000, logger: silentLogger }),
    });
    const running = service.run();
    await expect.poll(() => service.registry.state).toBe("lost");
    await service.stop(600_000);
    await running;
    expect(service.state).toBe("stopped");
  });

  test("after the first wait, later uses fail at once, and one connects when NATS is back", async () => {
    await using server = await startNats();
    await server.stop();
    await using link = new NatsLink({ servers: server.url, startTimeoutMs: 200 });
    await errorOf(link.open());
    const beganAt = performance.now();
    await errorOf(link.open());
    // Without a wait it takes as long as a refused connection.
    expect(performance.now() - beganAt).toBeLessThan(2_000);
    await server.start();
    expect((await link.open()).isClosed()).toBe(false);
  });

  test.each([
    ["core NATS", natsBroker],
    ["JetStream", jetstreamBroker],
  ] as const)("later: publishing on %s fails at once, as not executed", async (_name, make) => {
    await using server = await startNats();
    await using broker = make({ servers: server.url, logger: silentLogger });
    await broker.publish("orders", event);
    await server.stop();
    await expect.poll(() => broker.state).toBe("lost");
    const beganAt = performance.now();
    expect(await errorOf(broker.publish("orders", event))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    // It took as long as timeoutMs, which is 5 s.
    expect(performance.now() - beganAt).toBeLessThan(2_000);
    await server.start();
    await expect.poll(() => broker.state).toBe("healthy");
    await broker.publish("orders", event);
  });

  test("a program that is only a client ends when its client is closed", async () => {
    await using server = await startNats();
    const service = createService({
      name: "echo",
      environment: {},
      logger: silentLogger,
      address: "127.0.0.1:0",
      ...natsParts({ servers: server.url, logger: silentLogger }),
    });
    registerEcho(service.server);
    onTestFinished(() => service.stop(0));
    await service.start();
    const program = await startProgram(loneClient, { servers: server.url });
    await program.ended;
  });
});
