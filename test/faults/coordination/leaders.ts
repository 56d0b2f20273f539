import { setTimeout as sleep } from "node:timers/promises";
import { startProgram } from "../../support/argument-program.ts";
import { checkLeaders, type LeaderEntry } from "../check-leaders.ts";
import { machineNow } from "../check-terms.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";
import { type StartCoordinationServer, syncAt } from "./server.ts";

const candidateFile = new URL("candidate.ts", import.meta.url).href;

/** Leaders are killed, paused until another leads, and resign. */
export async function leadersKilled(
  startServer: StartCoordinationServer,
  length: Length,
): Promise<Figure> {
  const [kills, pauses, ttlMs] = length === "long" ? [100, 20, 3_000] : [4, 3, 1_000];
  using scratch = scratchDirectory();
  await using server = await startServer();
  const { url } = server;
  const start = () => startProgram(candidateFile, { url, directory: scratch.path, ttlMs });
  const candidates = await Promise.all([start(), start(), start()]);
  const handOvers: number[] = [];
  let leader = await nextLeader(0);
  for (let fault = 0; fault < kills + pauses; fault++) {
    await sleep(Math.random() * ttlMs);
    const { program, epoch } = leader;
    const pausing = fault % Math.ceil((kills + pauses) / pauses) === 0;
    if (pausing) program.signal("SIGSTOP");
    else await program.kill();
    const since = machineNow();
    leader = await nextLeader(epoch);
    handOvers.push(leader.at - since);
    if (pausing) program.signal("SIGCONT");
    else candidates[candidates.indexOf(program)] = await start();
  }
  for (const candidate of candidates) await candidate.kill();
  const figures = checkLeaders(readLedgers<LeaderEntry>(scratch.path));
  const { staleEpochs, sharedEpochs, doubleLeaders, toldLate } = figures;
  const slowest = Math.max(...handOvers);
  const resigned = await usualResignation();
  return {
    id: "S4",
    recipe: `${kills} leaders with a ttl of ${ttlMs} ms killed and ${pauses} paused until another led, 10 resign`,
    found: `the next leads after ${Math.round(slowest)} ms at most, after ${Math.round(resigned)} ms (median) when one resigns; ${figures.terms} terms: ${doubleLeaders} actions of a leader while another led, ${sharedEpochs} epochs of two leaders, ${staleEpochs} that do not increase; ${toldLate} leaders woke when another led`,
    bound: `at most ${ttlMs + 1_000} ms, 300 ms; 0, 0, 0; more than 0 (the pauses take effect)`,
    holds:
      slowest <= ttlMs + 1_000 &&
      resigned <= 300 &&
      doubleLeaders + sharedEpochs + staleEpochs === 0 &&
      toldLate > 0,
  };

  /** The first leader with a larger epoch, by its own report. */
  async function nextLeader(after: number) {
    const said = () =>
      candidates
        .flatMap((program) =>
          program.lines.map((line) => {
            const [, epoch, at] = line.split(" ").map(Number);
            return { program, epoch: epoch ?? 0, at: at ?? 0 };
          }),
        )
        .filter(({ epoch }) => epoch > after)
        .sort((a, b) => a.epoch - b.epoch)[0];
    await until(() => said() !== undefined, 60_000);
    const leader = said();
    if (leader === undefined) throw new Error("no leader for a minute");
    return leader;
  }

  async function usualResignation(): Promise<number> {
    await using sync = syncAt(url);
    await using other = syncAt(url);
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
