import { setTimeout as sleep } from "node:timers/promises";
import { createClient, createServer, silentLogger } from "@micro-es/runtime";
import { natsRegistry } from "@micro-es/runtime/registry/nats";
import { startProgram } from "../../nats/program.ts";
import { startNats } from "../../nats/server.ts";
import { echo } from "../../support/echo.ts";
import type { Figure, Length } from "../figure.ts";

const nodeFile = new URL("../../nats/registry-node.ts", import.meta.url).href;

/** Nodes are killed; watchers must know by the ttl and two seconds. */
export async function nodesKilled(length: Length): Promise<Figure> {
  const kills = length === "long" ? 20 : 4;
  const ttlMs = 2_000;
  const server = await startNats();
  const registry = natsRegistry({ servers: server.url });
  let slowest = 0;
  let soonest = Number.POSITIVE_INFINITY;
  try {
    for (let kill = 0; kill < kills; kill++) {
      const node = {
        id: `doomed-${kill}`,
        service: "doomed",
        version: "1",
        address: "127.0.0.1:9",
        metadata: {},
        endpoints: [],
      };
      const program = await startProgram(nodeFile, { servers: server.url, node, ttlMs });
      const has = async () => (await registry.get("doomed")).some(({ id }) => id === node.id);
      while (!(await has())) await sleep(10);
      // At any moment between two renewals.
      await sleep(Math.random() * ttlMs);
      await program.kill();
      const killed = performance.now();
      while (await has()) await sleep(10);
      slowest = Math.max(slowest, performance.now() - killed);
      soonest = Math.min(soonest, performance.now() - killed);
    }
  } finally {
    await registry.close();
    await server.close();
  }
  return {
    id: "D1",
    recipe: `${kills} nodes with a ttl of ${ttlMs} ms killed`,
    found: `gone after ${Math.round(soonest)} to ${Math.round(slowest)} ms`,
    bound: `at most ${ttlMs + 2_000} ms`,
    holds: slowest <= ttlMs + 2_000,
  };
}

/** The registry's server is away while calls go on. */
export async function registryAway(length: Length): Promise<Figure> {
  const awayMs = length === "long" ? 60_000 : 10_000;
  const nats = await startNats();
  const make = () => natsRegistry({ servers: nats.url });
  const registries = [make(), make(), make()] as const;
  const environment = { MICRO_ADDRESS: "127.0.0.1:0" };
  const servers = registries.slice(0, 2).map((registry) => {
    const server = createServer({
      name: "echo",
      registry,
      environment,
      logger: silentLogger,
      ttlMs: 2_000,
    });
    server.unary(echo.once, (request) => ({ text: request.text }));
    return server;
  });
  const client = createClient({ registry: registries[2], environment, logger: silentLogger });
  let calls = 0;
  let failed = 0;
  let nodesAfter = 0;
  try {
    for (const server of servers) await server.start();
    while ((await registries[2].get("echo")).length < 2) await sleep(20);
    let loading = true;
    const load = async () => {
      while (loading) {
        calls++;
        await client.unary(echo.once, { text: "x" }, { timeoutMs: 2_000 }).catch(() => failed++);
        await sleep(20);
      }
    };
    const loads = [load(), load(), load(), load()];
    await sleep(500);
    await nats.stop("SIGKILL");
    await sleep(awayMs);
    await nats.start();
    // Renewals come back within the ttl; only then would a registry that forgot show it.
    await sleep(5_000);
    loading = false;
    await Promise.all(loads);
    nodesAfter = (await registries[2].get("echo")).length;
  } finally {
    await client.close();
    for (const server of servers) await server.close(0);
    for (const registry of registries) await registry.close();
    await nats.close();
  }
  return {
    id: "D5",
    recipe: `the registry's server away for ${awayMs / 1000} s, ${calls} calls meanwhile`,
    found: `${failed} failed calls, ${nodesAfter} of 2 nodes known 5 s after its return`,
    bound: "0 failed calls, 2 of 2 nodes",
    holds: failed === 0 && nodesAfter === 2,
  };
}
