import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { LeaderEntry } from "../check-leaders.ts";
import { machineNow } from "../check-terms.ts";
import { Ledger } from "../ledger.ts";
import { syncAt } from "./server.ts";

/** Stands for election as long as it lives, and records its actions as leader. */
const { url, directory, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  directory: string;
  ttlMs: number;
};
const ledger = new Ledger(join(directory, `candidate-${process.pid}.ledger`));
const sync = syncAt(url);
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
for (;;) {
  const leadership = await sync.lead("group", { ttlMs, candidate: `${process.pid}` });
  const write = (kind: LeaderEntry["kind"], at: number) => {
    const epoch = Number(leadership.epoch);
    ledger.write({ kind, epoch, candidate: process.pid, at } satisfies LeaderEntry);
  };
  let kind: LeaderEntry["kind"] = "leads";
  for (;;) {
    const at = machineNow();
    if (!leadership.held) break;
    write(kind, at);
    if (kind === "leads") process.stdout.write(`leads ${leadership.epoch} ${at}\n`);
    kind = "acts";
    await sleep(5);
  }
  if (kind === "acts") write("told", machineNow());
}
