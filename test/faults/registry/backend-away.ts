import { setTimeout as sleep } from "node:timers/promises";
import { createClient, createServer, silentLogger } from "@micro-es/runtime";
import { echo } from "../../support/echo.ts";
import type { Figure, Length } from "../figure.ts";
import type { StartRegistryServer } from "./backend.ts";

/**
 * The registry's server is down while calls continue. @param wiped whether it comes back without
 * its data.
 */
export async function registryAway(
  startServer: StartRegistryServer,
  length: Length,
  wiped = false,
): Promise<Figure> {
  const awayMs = length === "long" ? 60_000 : 6_000;
  const backend = await startServer();
  const make = () => backend.connect();
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
    await backend.kill();
    await sleep(awayMs);
    if (wiped) backend.wipe?.();
    await backend.start();
    // Renewals come back within the ttl; only then would a registry that lost its data reveal it.
    await sleep(5_000);
    loading = false;
    await Promise.all(loads);
    nodesAfter = (await registries[2].get("echo")).length;
  } finally {
    await client.close();
    for (const server of servers) await server.close(0);
    for (const registry of registries) await registry.close();
    await backend[Symbol.asyncDispose]();
  }
  return {
    id: wiped ? "D5-wiped" : "D5",
    recipe: `the registry's server down for ${awayMs / 1000} s${wiped ? ", back without its data" : ""}, ${calls} calls meanwhile`,
    found: `${failed} failed calls, ${nodesAfter} of 2 nodes known 5 s after its return`,
    bound: "0 failed calls, 2 of 2 nodes",
    holds: failed === 0 && nodesAfter === 2,
  };
}
