import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startProgram } from "../../support/argument-program.ts";
import { checkLocks } from "../check-locks.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import {
  type CoordinationServer,
  type Flaw,
  type StartCoordinationServer,
  syncAt,
} from "./server.ts";

interface Entry {
  readonly kind: "grant" | "fenced" | "unfenced" | "rejected" | "failed";
  readonly token: number;
  readonly version: number;
}

const clientFile = new URL("lock-client.ts", import.meta.url).href;

/**
 * Holders are paused for longer than their ttl, and write when they wake. Where the wall clock of
 * the server can be moved, it jumps forward and back by an hour meanwhile.
 */
export async function lockHoldersPaused(
  startServer: StartCoordinationServer,
  length: Length,
): Promise<Figure> {
  const runMs = length === "long" ? 300_000 : 10_000;
  const ttlMs = 300;
  await using server = await startServer();
  const directory = mkdtempSync(join(tmpdir(), "micro-faults-"));
  const start = () => startProgram(clientFile, { url: server.url, directory, ttlMs });
  try {
    const clients = await Promise.all([start(), start(), start(), start(), start()]);
    const end = performance.now() + runMs;
    const jumping = moveClock(server, end);
    let pauses = 0;
    while (performance.now() < end) {
      // The last holder of the lock is most likely in the middle of its writes.
      const before = clients.map(({ lines }) => lines.length);
      await sleep(5 + 20 * Math.random());
      const holder = clients.find(({ lines }, index) => lines.length > (before[index] ?? 0));
      if (holder === undefined) continue;
      holder.signal("SIGSTOP");
      pauses++;
      await sleep(2 * ttlMs + 100 * Math.random());
      holder.signal("SIGCONT");
      await sleep(50);
    }
    const jumps = await jumping;
    for (const client of clients) await client.kill();
    const entries = readLedgers<Entry>(directory);
    const of = (kind: Entry["kind"]) => entries.filter((entry) => entry.kind === kind);
    const fenced = checkLocks(of("grant"), of("fenced"));
    const unfenced = checkLocks(of("grant"), of("unfenced"));
    return {
      id: jumps === undefined ? "S1" : "S1-clock",
      recipe: `5 clients, ${fenced.grants} grants, holders paused ${pauses} times for twice the ttl${jumps === undefined ? "" : `, the server's clock set forward or back by an hour ${jumps} times`}`,
      found: `${fenced.staleWrites} stale writes accepted with the fence, ${unfenced.staleWrites} without, ${of("rejected").length} rejected, ${fenced.repeatedTokens} duplicate tokens`,
      bound: "0 with the fence, more than 0 without (the faults take effect), 0 duplicate tokens",
      holds:
        fenced.staleWrites === 0 &&
        unfenced.staleWrites > 0 &&
        fenced.repeatedTokens === 0 &&
        jumps !== 0,
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** How often the server stated a clock that is an hour off; undefined where it cannot be moved. */
async function moveClock(server: CoordinationServer, end: number): Promise<number | undefined> {
  if (server.moveClock === undefined) return undefined;
  let jumps = 0;
  for (let turn = 0; performance.now() < end; turn++) {
    const hours = [1, -1, 0][turn % 3] ?? 0;
    const stated = await server.moveClock(hours);
    if (hours !== 0 && Math.abs(stated - hours) < 0.1) jumps++;
    await sleep(1_000);
  }
  await server.moveClock(0);
  return jumps;
}

/**
 * The server is down for longer than the ttl of a lock that one process holds and another wants.
 * @param flaw changes the sync of the holder, to prove that this is noticed.
 */
export async function syncAway(
  startServer: StartCoordinationServer,
  length: Length,
  flaw?: Flaw,
): Promise<Figure> {
  const awayMs = length === "long" ? 30_000 : flaw === undefined ? 5_000 : 2_000;
  const ttlMs = 1_500;
  await using server = await startServer();
  const [one, two] = [syncAt(server.url), syncAt(server.url)];
  try {
    const lock = await (flaw?.(one) ?? one).lock("work", { ttlMs });
    let toldAt = lock.signal.aborted ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    lock.signal.addEventListener("abort", () => {
      toldAt = performance.now();
    });
    let grants = 0;
    let failures = 0;
    let over = false;
    const wanting = (async () => {
      while (!over) {
        try {
          const other = await two.lock("work", { ttlMs, waitMs: 500 });
          grants++;
          await other.unlock();
        } catch {
          failures++;
          await sleep(50);
        }
      }
    })();
    await sleep(500);
    const away = performance.now();
    await server.kill();
    await sleep(awayMs);
    const meanwhile = grants;
    await server.start();
    const back = performance.now();
    while (grants === 0 && performance.now() - back < 10_000) await sleep(10);
    const grantedAfter = performance.now() - back;
    over = true;
    await wanting;
    const toldAfter = toldAt - away;
    return {
      id: "S6",
      recipe: `the server down for ${awayMs / 1000} s under a lock with a ttl of ${ttlMs} ms`,
      found: `holder notified after ${Math.round(toldAfter)} ms, ${meanwhile} grants meanwhile, ${failures} failed attempts, granted ${Math.round(grantedAfter)} ms after its return`,
      bound: `notified within 0 to ${ttlMs} ms, 0 grants meanwhile, granted within ${ttlMs + 4_000} ms`,
      holds:
        toldAfter >= 0 &&
        toldAfter <= ttlMs &&
        meanwhile === 0 &&
        grants > 0 &&
        grantedAfter <= ttlMs + 4_000,
    };
  } finally {
    await one.close();
    await two.close();
  }
}
