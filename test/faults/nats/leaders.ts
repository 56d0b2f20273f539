import { setTimeout as sleep } from "node:timers/promises";
import { natsSync } from "@micro-es/runtime/sync/nats";
import { startProgram } from "../../nats/program.ts";
import { startNats } from "../../nats/server.ts";
import { checkTerms, machineNow, type Term } from "../check-terms.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";

interface Entry {
  readonly kind: "leads" | "told";
  readonly epoch: number;
  readonly pid: number;
  readonly at: number;
}

const candidateFile = new URL("candidate.ts", import.meta.url).href;

/** Leaders are killed, and others resign. */
export async function leadersKilled(length: Length): Promise<Figure> {
  const [kills, ttlMs] = length === "long" ? [100, 3_000] : [8, 1_000];
  using scratch = scratchDirectory();
  await using server = await startNats();
  await using sync = natsSync({ servers: server.url });
  const { url: servers } = server;
  const start = () => startProgram(candidateFile, { servers, directory: scratch.path, ttlMs });
  const candidates = await Promise.all([start(), start(), start()]);
  const killedAt = new Map<number, number>();
  const handOvers: number[] = [];
  let leader = await leaderOtherThan(0n);
  for (let kill = 0; kill < kills; kill++) {
    await sleep(Math.random() * ttlMs);
    const pid = Number(leader.candidate);
    const index = candidates.findIndex((candidate) => candidate.pid === pid);
    await candidates[index]?.kill();
    const killed = machineNow();
    killedAt.set(pid, killed);
    leader = await leaderOtherThan(leader.epoch);
    handOvers.push((await startOfTerm(Number(leader.epoch))) - killed);
    candidates[index] = await start();
  }
  for (const candidate of candidates) await candidate.kill();
  const ended = machineNow();
  const entries = readLedgers<Entry>(scratch.path);
  const told = new Map(
    entries.filter(({ kind }) => kind === "told").map((it) => [it.epoch, it.at]),
  );
  const terms = entries
    .filter(({ kind }) => kind === "leads")
    .map(
      ({ epoch, pid, at }): Term => ({
        token: epoch,
        from: at,
        to: told.get(epoch) ?? killedAt.get(pid) ?? ended,
      }),
    );
  const { overlaps, staleTokens } = checkTerms(terms);
  const slowest = Math.max(...handOvers);
  const resigned = await usualResignation();
  return {
    id: "S4",
    recipe: `${kills} leaders with a ttl of ${ttlMs} ms killed, 10 resign`,
    found: `the next leads after ${Math.round(slowest)} ms at most, after ${Math.round(resigned)} ms (median) when one resigns; ${staleTokens} epochs that do not grow, ${overlaps} told late because the machine let them wait`,
    bound: `at most ${ttlMs + 1_000} ms, 300 ms; 0 epochs`,
    holds: slowest <= ttlMs + 1_000 && resigned <= 300 && staleTokens === 0,
  };

  async function leaderOtherThan(epoch: bigint) {
    for (;;) {
      const found = await sync.leader("group");
      if (found !== undefined && found.epoch !== epoch) return found;
      await sleep(10);
    }
  }

  /** As the leader itself wrote it down. */
  async function startOfTerm(epoch: number): Promise<number> {
    let at = Number.POSITIVE_INFINITY;
    await until(() => {
      const entries = readLedgers<Entry>(scratch.path);
      at = entries.find((entry) => entry.kind === "leads" && entry.epoch === epoch)?.at ?? at;
      return at < Number.POSITIVE_INFINITY;
    }, 5_000);
    return at;
  }

  async function usualResignation(): Promise<number> {
    await using other = natsSync({ servers });
    const took: number[] = [];
    for (let turn = 0; turn < 10; turn++) {
      const first = await sync.lead("resigning", { ttlMs });
      const next = other.lead("resigning", { ttlMs });
      await sleep(50);
      const began = performance.now();
      await first.resign();
      const leadership = await next;
      took.push(performance.now() - began);
      await leadership.resign();
    }
    return took.sort((a, b) => a - b)[took.length / 2] ?? Number.POSITIVE_INFINITY;
  }
}
