import { etcd } from "@micro-es/etcd";
import { createClient, createService, silentLogger } from "@micro-es/runtime";
import { createEchoServiceClient, echoHandler } from "@micro-es/test-support/echo";
import { registerEcho } from "@micro-es/test-support/server";
import { describe, expect, test } from "vitest";
import { skipWithoutEtcd, startEtcd } from "./server.ts";

/** No traffic leaves the machine, and every test process has a port of its own. */
const mdns = `mdns:?interface=127.0.0.1&port=${20_000 + (process.pid % 20_000)}`;

/** A caller that calls without a pause, and counts what fails. */
async function startCaller(MICRO_REGISTRY: string, failures: unknown[]) {
  const client = createClient({
    drivers: [etcd],
    environment: { MICRO_REGISTRY },
    logger: silentLogger,
  });
  const echo = createEchoServiceClient(client);
  // A busy machine may need longer than a call waits to find the first server.
  await expect
    .poll(() => echo.echo({ text: "x" }).catch(() => undefined), { timeout: 40_000 })
    .toBeDefined();
  const stopping = new AbortController();
  let calls = 0;
  const calling = (async () => {
    while (!stopping.signal.aborted) {
      // Not a method that is repeated: each failed attempt counts.
      await echo.once({ text: "x" }).catch((error) => failures.push(error));
      calls++;
    }
  })();
  return {
    /** Resolves when it has made this many more calls. */
    async makes(more: number) {
      const target = calls + more;
      await expect.poll(() => calls, { timeout: 40_000 }).toBeGreaterThanOrEqual(target);
    },
    async stop() {
      stopping.abort();
      await calling;
      await client.close();
    },
  };
}

async function startServer(MICRO_REGISTRY: string) {
  const service = createService({
    name: "echo",
    drivers: [etcd],
    // On a busy machine callers take longer than usual to notice that a server leaves.
    environment: { MICRO_REGISTRY, MICRO_DRAIN_DELAY: "2s" },
    logger: silentLogger,
  });
  registerEcho(service.server, echoHandler());
  await service.start();
  return service;
}

describe.skipIf(skipWithoutEtcd)("a fleet that moves from mDNS to etcd", () => {
  test("by two rolling restarts: no call fails", async () => {
    await using server = await startEtcd();
    const onEtcd = server.url.replace("http:", "etcd:");
    const failures: unknown[] = [];
    let servers = await Promise.all([1, 2, 3].map(() => startServer(mdns)));
    let callers = await Promise.all([1, 2].map(() => startCaller(mdns, failures)));
    const callsGoOn = () => Promise.all(callers.map((caller) => caller.makes(20)));
    try {
      await callsGoOn();
      for (const registry of [`${mdns},${onEtcd}`, onEtcd]) {
        for (const old of [...servers]) {
          const restarted = await startServer(registry);
          servers = [...servers.filter((each) => each !== old), restarted];
          await callsGoOn();
          await old.stop();
          await callsGoOn();
          const [caller] = callers;
          if (caller === undefined || callers.length > 2) continue;
          callers = [...callers, await startCaller(registry, failures)];
          await callsGoOn();
        }
        for (const old of callers.splice(0, 2)) await old.stop();
        callers.push(await startCaller(registry, failures));
        await callsGoOn();
      }
    } finally {
      for (const caller of callers) await caller.stop();
      for (const each of servers) await each.stop();
    }
    expect(failures).toEqual([]);
  }, 180_000);
});
