import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startProgram } from "../../nats/program.ts";
import { startNats } from "../../nats/server.ts";
import { checkLocks } from "../check-locks.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";

interface Entry {
  readonly kind: "grant" | "fenced" | "unfenced" | "rejected" | "failed";
  readonly token: number;
  readonly version: number;
}

const clientFile = new URL("lock-client.ts", import.meta.url).href;

/** Holders are paused for longer than their ttl, and write when they wake. */
export async function lockHoldersPaused(length: Length): Promise<Figure> {
  const runMs = length === "long" ? 300_000 : 20_000;
  const ttlMs = 300;
  const server = await startNats();
  const directory = mkdtempSync(join(tmpdir(), "micro-faults-"));
  const start = () => startProgram(clientFile, { servers: server.url, directory, ttlMs });
  try {
    const clients = await Promise.all([start(), start(), start(), start(), start()]);
    const end = performance.now() + runMs;
    let pauses = 0;
    while (performance.now() < end) {
      // Whoever took the lock last is most likely in the middle of its writes.
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
    for (const client of clients) await client.kill();
    const entries = readLedgers<Entry>(directory);
    const of = (kind: Entry["kind"]) => entries.filter((entry) => entry.kind === kind);
    const fenced = checkLocks(of("grant"), of("fenced"));
    const unfenced = checkLocks(of("grant"), of("unfenced"));
    return {
      id: "S1",
      recipe: `5 clients, ${fenced.grants} grants, holders paused ${pauses} times for twice the ttl`,
      found: `${fenced.staleWrites} stale writes taken with the fence, ${unfenced.staleWrites} without, ${of("rejected").length} rejected, ${fenced.repeatedTokens} tokens twice`,
      bound: "0 with the fence, more than 0 without (the faults bite), 0 tokens twice",
      holds: fenced.staleWrites === 0 && unfenced.staleWrites > 0 && fenced.repeatedTokens === 0,
    };
  } finally {
    await server.close();
    rmSync(directory, { recursive: true });
  }
}
