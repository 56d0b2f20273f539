import { basename } from "node:path";
import { parseArgs } from "node:util";
import { ablationGoals } from "./ablation.ts";
import type { Suite } from "./contender.ts";
import { goalCells, goalContenders, goals, printGoals } from "./goals.ts";
import { type Pair, startPair } from "./pair.ts";
import { contenderFiles, prepare, protoFolders } from "./prepare.ts";
import { printScale, scale } from "./scale.ts";
import { keepAwake, preferUs } from "./spin.ts";
import { startUp } from "./start-up.ts";
import { printTable, type Row } from "./table.ts";

/** One thing that is measured, for every contender that can do it. */
interface Cell {
  readonly suite: Suite;
  readonly inFlight: number;
  readonly bytes: number;
}

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    spin: { type: "boolean", default: true },
    "no-spin": { type: "boolean", default: false },
    slices: { type: "string", default: "5" },
    "slice-ms": { type: "string", default: "400" },
    profile: { type: "string" },
    check: { type: "boolean", default: false },
    ablation: { type: "boolean", default: false },
    scale: { type: "boolean", default: false },
    "start-up": { type: "boolean", default: false },
    suite: { type: "string", multiple: true, default: [] },
    "in-flight": { type: "string", multiple: true, default: [] },
    bytes: { type: "string", multiple: true, default: [] },
  },
});

const unaryCells: Cell[] = [64, 1024, 65_536].flatMap((bytes) =>
  [1, 16, 128, 1024].map((inFlight) => ({ suite: "unary" as const, inFlight, bytes })),
);
const allCells: readonly Cell[] = [
  ...unaryCells,
  { suite: "download", inFlight: 1, bytes: 64 },
  { suite: "pingpong", inFlight: 1, bytes: 64 },
  { suite: "pingpong", inFlight: 16, bytes: 64 },
  { suite: "publish", inFlight: 1, bytes: 128 },
  { suite: "connect", inFlight: 1, bytes: 64 },
];
/** Compiled code is what is measured: with less, slow peers would be measured while they are interpreted. */
const warmUp = { ms: 1_000, atLeast: 8_000, maxMs: 5_000 };

const wanted = (list: readonly string[], value: string | number) =>
  list.length === 0 || list.includes(String(value));
const isGoal = (cell: Cell) =>
  goalCells.some(
    ([suite, bytes, inFlight]) =>
      cell.suite === suite && cell.bytes === bytes && cell.inFlight === inFlight,
  );
const isAblation = (cell: Cell) =>
  cell.suite === "unary" && cell.bytes === 64 && cell.inFlight === 128;
const cells = allCells.filter(
  (cell) =>
    (!options.check || isGoal(cell)) &&
    (!options.ablation || isAblation(cell)) &&
    wanted(options.suite, cell.suite) &&
    wanted(options["in-flight"], cell.inFlight) &&
    wanted(options.bytes, cell.bytes),
);

const say = (line: string) => process.stderr.write(`${line}\n`);
const folder = await prepare();
process.env.BENCH_PROTOS = protoFolders;
if (options.profile !== undefined) process.env.BENCH_PROFILE = options.profile;
preferUs();
if (options.scale) process.exit(printScale(await scale(folder)) ? 0 : 1);
if (options["start-up"]) process.exit((await startUp(folder)) ? 0 : 1);
const sleepAgain = options.spin && !options["no-spin"] ? keepAwake() : () => {};
const pairs: Pair[] = [];
const rows: Row[] = [];
try {
  const only = options.check && options.only.length === 0 ? goalContenders : options.only;
  for (const file of contenderFiles(options.ablation ? "ablations" : "contenders")) {
    const name = basename(file);
    if (!wanted(only, name)) continue;
    const { contender } = await import(`${folder}/${file}.js`);
    const reason = await contender.unavailable?.();
    if (reason !== undefined) say(`skipped ${name}: ${reason}`);
    else pairs.push(await startPair(file, folder));
  }
  for (const cell of cells) rows.push(...(await measureCell(cell)));
} finally {
  await Promise.all(pairs.map((pair) => pair.close()));
  sleepAgain();
}
if (options.json) for (const row of rows) console.log(JSON.stringify(row));
else printTable(rows);
let reached = true;
if (options.check) reached = printGoals(rows, goals);
if (options.ablation) reached = printGoals(rows, ablationGoals);
process.exit(reached ? 0 : 1);

/** Warms every contender up, then takes slices of all of them in turn, so that noise hits all alike. */
async function measureCell(cell: Cell): Promise<Row[]> {
  const ms = Number(options["slice-ms"]);
  const slices = new Map<
    Pair,
    { perSecond: number; p50Us: number; p99Us: number; cpuUs: number; rss: number }[]
  >();
  for (const pair of pairs) {
    try {
      await pair.slice({ ...cell, ...warmUp });
      slices.set(pair, []);
    } catch (error) {
      const message = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      if (!/cannot do that/.test(message))
        say(`${pair.name} fails ${cell.suite}, ${cell.bytes} B, ${cell.inFlight}: ${message}`);
    }
  }
  for (let round = 0; round < Number(options.slices); round++) {
    for (const [pair, results] of slices) {
      const before = await pair.usage();
      const { operations, elapsedMs, p50Us, p99Us } = await pair.slice({ ...cell, ms });
      const after = await pair.usage();
      const cpuUs =
        after.client.cpuUs - before.client.cpuUs + after.server.cpuUs - before.server.cpuUs;
      results.push({
        perSecond: (operations / elapsedMs) * 1000,
        p50Us,
        p99Us,
        cpuUs: cpuUs / operations,
        rss: after.server.rssBytes,
      });
    }
  }
  const rate = (name: string) => {
    const [, results] = [...slices].find(([pair]) => pair.name === name) ?? [];
    return results === undefined ? undefined : median(results.map((it) => it.perSecond));
  };
  const grpc = rate("grpc-js");
  const raw = rate("raw-tcp");
  return [...slices].map(([pair, results]) => {
    const perSecond = median(results.map((it) => it.perSecond));
    return {
      ...cell,
      contender: pair.name,
      perSecond: Math.round(perSecond),
      p50Us: Math.round(median(results.map((it) => it.p50Us))),
      p99Us: Math.round(median(results.map((it) => it.p99Us))),
      cpuUsPerOperation: round(median(results.map((it) => it.cpuUs)), 2),
      serverRssMb: round(median(results.map((it) => it.rss)) / 2 ** 20, 0),
      ratioToGrpcJs: grpc === undefined ? null : round(perSecond / grpc, 2),
      ratioToRawTcp: raw === undefined ? null : round(perSecond / raw, 3),
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
