import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Sync } from "@micro-es/runtime";
import { until } from "../until.ts";
import { syncAt } from "./server.ts";

/** What the program found about itself. */
export interface LinkFigures {
  readonly opened: number;
  /** Open files and sockets, and timers and the like that still keep it running. */
  readonly left: number;
  /** Errors that nothing handled. */
  readonly uncaught: number;
}

/** Opens and closes syncs, and has its parent cut the links of others, line by line. */
const { url, cutUrl, count, isLeaky } = JSON.parse(process.argv[2] ?? "{}") as {
  url: string;
  cutUrl: string;
  count: number;
  isLeaky: boolean;
};
let uncaught = 0;
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, () => uncaught++);
}
const atOnce = 20;
const descriptors = "/proc/self/fd";
// An idle socket of an agent of HTTP does not keep the process running, and is left all the same.
const open = () => (existsSync(descriptors) ? readdirSync(descriptors).length : 0);
const inUse = () => process.getActiveResourcesInfo().length + open();
process.stdout.write("ready\n");
const before = inUse();

let opened = 0;
const openAll = async () => {
  while (opened < count) {
    opened++;
    await using sync = syncAt(url);
    await sync.leader("unused");
  }
};
await Promise.all(Array.from({ length: atOnce }, openAll));

const works = async (sync: Sync) => {
  await sync.leader("unused");
  return true;
};
const holders = Array.from({ length: atOnce / 2 }, () => syncAt(cutUrl));
const waiting = Array.from({ length: atOnce / 2 }, () => syncAt(cutUrl));
const syncs = [...holders, ...waiting];
const isClosing = new AbortController();
const locks = await Promise.all(
  holders.map((sync, at) => sync.lock(`lock ${at}`, { ttlMs: 60_000 })),
);
const waits = waiting.map(async (sync, at) => {
  while (!isClosing.signal.aborted) {
    await sync.lock(`lock ${at}`, { waitMs: 60_000, signal: isClosing.signal }).catch(() => {});
    await sleep(20);
  }
});
// Each cut ends a connection of each sync, unless it comes late and meets one that is not back yet.
for (let cut = 0; cut < (1.1 * count) / atOnce; cut++) {
  process.stdout.write(`cut ${cut}\n`);
  await sleep(10 + 20 * Math.random());
  await Promise.all(syncs.map((sync) => until(() => works(sync), 30_000, 10)));
}
isClosing.abort();
await Promise.all(waits);
// One that waits for a lock keeps a connection; an idle one would soon be closed by itself.
const kept = isLeaky ? holders.length - 1 : undefined;
const leaked = kept === undefined ? [] : [holders[kept], waiting[kept]];
for (const [at, lock] of locks.entries()) if (at !== kept) await lock.unlock();
void leaked[1]?.lock(`lock ${kept}`, { waitMs: 60_000 }).catch(() => {});
await Promise.all(syncs.filter((sync) => !leaked.includes(sync)).map((sync) => sync.close()));
await until(() => inUse() <= before, 5_000);
const figures: LinkFigures = { opened, left: Math.max(0, inUse() - before), uncaught };
process.stdout.write(`${JSON.stringify(figures)}\n`);
