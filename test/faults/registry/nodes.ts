import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, createServer, type Node, silentLogger } from "@micro-es/runtime";
import type { Program } from "../../support/argument-program.ts";
import { echo } from "../../support/echo.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { StartRegistryServer } from "./backend.ts";

/** Nodes are killed; watchers must notice within the ttl plus two seconds. */
export async function nodesKilled(
  startServer: StartRegistryServer,
  length: Length,
): Promise<Figure> {
  const kills = length === "long" ? 20 : 4;
  const ttlMs = 2_000;
  await using backend = await startServer();
  await using registry = backend.connect();
  let slowest = 0;
  let soonest = Number.POSITIVE_INFINITY;
  const kill = async (id: string) => {
    const program = await backend.startNodes([id], { who: "x", ttlMs });
    const has = async () => (await registry.get("work")).some((node) => node.id === id);
    while (!(await has())) await sleep(10);
    // At any moment between two renewals.
    await sleep(Math.random() * ttlMs);
    await program.kill();
    const killed = performance.now();
    while (await has()) await sleep(10);
    slowest = Math.max(slowest, performance.now() - killed);
    soonest = Math.min(soonest, performance.now() - killed);
  };
  const ids = Array.from({ length: kills }, (_, index) => `doomed-${index}`);
  await Promise.all(ids.map(kill));
  return {
    id: "D1",
    recipe: `${kills} nodes with a ttl of ${ttlMs} ms killed`,
    found: `gone after ${Math.round(soonest)} to ${Math.round(slowest)} ms`,
    bound: `at most ${ttlMs + 2_000} ms`,
    holds: slowest <= ttlMs + 2_000,
  };
}

/** Servers stop gracefully while they are called. */
export async function nodesStop(startServer: StartRegistryServer, length: Length): Promise<Figure> {
  const stops = length === "long" ? 20 : 5;
  await using backend = await startServer();
  const environment = { MICRO_ADDRESS: "127.0.0.1:0" };
  const logger = silentLogger;
  await using watching = backend.connect();
  const start = async () => {
    const registry = backend.connect();
    const server = createServer({ name: "echo", registry, environment, logger });
    let lastCallAt = 0;
    server.unary(echo.once, (request) => {
      lastCallAt = performance.now();
      return { text: request.text };
    });
    await server.start();
    return {
      server,
      registry,
      get lastCallAt() {
        return lastCallAt;
      },
    };
  };
  const running = [await start(), await start()];
  const client = createClient({ registry: watching, environment, logger });
  const known = async () => (await watching.get("echo")).length;
  await until(async () => (await known()) === 2, 10_000);
  let [calls, failed, slowest, late] = [0, 0, 0, 0];
  let loading = true;
  const load = async () => {
    while (loading) {
      calls++;
      await client.unary(echo.once, { text: "x" }, { timeoutMs: 5_000 }).catch(() => failed++);
      await sleep(10);
    }
  };
  const loads = Array.from({ length: 4 }, load);
  for (let stop = 0; stop < stops; stop++) {
    running.push(await start());
    await until(async () => (await known()) === 3, 10_000);
    await sleep(200);
    const stopping = running.shift();
    const began = performance.now();
    const closing = stopping?.server.close(5_000);
    slowest = Math.max(slowest, await until(async () => (await known()) === 2, 10_000, 2));
    await closing;
    await stopping?.registry.close();
    if ((stopping?.lastCallAt ?? 0) > began + 500) late++;
  }
  loading = false;
  await Promise.all(loads);
  await client.close();
  for (const { server, registry } of running) {
    await server.close(0);
    await registry.close();
  }
  return {
    id: "D2",
    recipe: `${stops} of three servers stopped, one after another, under ${calls} calls`,
    found: `gone after ${Math.round(slowest)} ms at the latest, ${failed} calls failed, ${late} servers called more than 500 ms after they began to stop`,
    bound: "at most 500 ms, 0, 0",
    holds: slowest <= 500 && failed === 0 && late === 0,
  };
}

/** No process stops, but the machine is heavily overloaded. */
export async function machineBusy(
  startServer: StartRegistryServer,
  length: Length,
): Promise<Figure> {
  const runMs = length === "long" ? 180_000 : 8_000;
  const ttlMs = 3_000;
  await using backend = await startServer();
  await using registry = backend.connect();
  const programs = await Promise.all(
    [0, 1, 2, 3].map((program) => {
      const ids = Array.from({ length: 5 }, (_, index) => `n${program}-${index}`);
      return backend.startNodes(ids, { who: "x", ttlMs });
    }),
  );
  await until(async () => (await registry.get("work")).length === 20, 20_000);
  const ending = new AbortController();
  let removals = 0;
  const watching = (async () => {
    let before = 0;
    for await (const event of registry.watch("work", { signal: ending.signal })) {
      if (event.type === "removed") removals++;
      if (event.type !== "snapshot") continue;
      removals += Math.max(0, before - event.nodes.length);
      before = event.nodes.length;
    }
  })();
  const burners = Array.from({ length: 2 * cpus().length }, () =>
    spawn(process.execPath, ["--eval", "for (;;);"], { stdio: "ignore" }),
  );
  await sleep(runMs);
  for (const burner of burners) burner.kill("SIGKILL");
  ending.abort();
  await watching;
  for (const program of programs) await program.kill();
  return {
    id: "D3",
    recipe: `20 nodes with a ttl of ${ttlMs} ms, ${burners.length} busy processes on ${cpus().length} cores for ${runMs / 1_000} s`,
    found: `${removals} removals`,
    bound: "0",
    holds: removals === 0,
  };
}

/**
 * A node's process is paused for three times its ttl; in every second round another one takes its
 * id over meanwhile.
 */
export async function nodesPaused(
  startServer: StartRegistryServer,
  length: Length,
): Promise<Figure> {
  const rounds = length === "long" ? 20 : 3;
  const ttlMs = 1_000;
  await using backend = await startServer();
  await using registry = backend.connect();
  const start = (id: string, who: string) => backend.startNodes([id], { who, ttlMs });
  let [slowestGone, slowestBack, twice, stolen] = [0, 0, 0, 0];
  const programs: Program[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const id = `node-${round}`;
      const find = async (): Promise<readonly Node[]> => {
        const found = (await registry.get("work")).filter((node) => node.id === id);
        if (found.length > 1) twice++;
        return found;
      };
      const first = await start(id, "first");
      programs.push(first);
      await until(async () => (await find()).length === 1, 10_000);
      first.signal("SIGSTOP");
      const stopped = performance.now();
      const gone = await until(async () => (await find()).length === 0, 20_000);
      slowestGone = Math.max(slowestGone, gone);
      if (round % 2 === 1) {
        programs.push(await start(id, "second"));
        await until(async () => (await find()).length === 1, 10_000);
      }
      await sleep(Math.max(0, 3 * ttlMs - (performance.now() - stopped)));
      first.signal("SIGCONT");
      if (round % 2 === 0) {
        const back = await until(async () => (await find()).length === 1, 20_000);
        slowestBack = Math.max(slowestBack, back);
        continue;
      }
      // The paused process finds that its id belongs to another one, and changes nothing.
      await until(async () => (await find())[0]?.metadata.who !== "second", 2 * ttlMs);
      if ((await find())[0]?.metadata.who !== "second") stolen++;
    }
  } finally {
    for (const program of programs) await program.kill();
  }
  return {
    id: "D4",
    recipe: `${rounds} nodes with a ttl of ${ttlMs} ms paused for three times as long, the id of every second one taken over meanwhile`,
    found: `gone after ${Math.round(slowestGone)} ms at the latest, back after ${Math.round(slowestBack)} ms, ${twice} duplicate ids, ${stolen} new records damaged by the previous owner of the id`,
    bound: `at most ${ttlMs + 2_000} ms, at most 2000 ms, 0, 0`,
    holds: slowestGone <= ttlMs + 2_000 && slowestBack <= 2_000 && twice === 0 && stolen === 0,
  };
}
