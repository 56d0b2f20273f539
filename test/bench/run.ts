import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { grpcGoProgram } from "../interop/peers.ts";
import { ablationGoals } from "./ablation.ts";
import { allCells } from "./cells.ts";
import { goalContenders, goals, grpcGoals, isNeeded, printGoals } from "./goals.ts";
import { measureCell } from "./measure-cell.ts";
import { type Pair, startPair } from "./pair.ts";
import { contenderFiles, prepare, protoFolders } from "./prepare.ts";
import { printScale, scale } from "./scale.ts";
import { keepAwake, preferUs } from "./spin.ts";
import { printStartUp, startUp, startUpGoals } from "./start-up.ts";
import { printTable, type Row } from "./table.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    suite: { type: "string", multiple: true, default: [] },
    "in-flight": { type: "string", multiple: true, default: [] },
    bytes: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    ablation: { type: "boolean", default: false },
    scale: { type: "boolean", default: false },
    "start-up": { type: "boolean", default: false },
    "no-spin": { type: "boolean", default: false },
    slices: { type: "string" },
    "slice-ms": { type: "string" },
    profile: { type: "string" },
  },
});
const { check, ablation } = options;
/**
 * `--suite grpc` stands for the goals of gRPC and of Connect over HTTP/2, whose figures are in
 * several suites.
 */
const ofGrpc = options.suite.includes("grpc");
const only = ofGrpc
  ? ["micro-es-grpc", "micro-es-connect", "grpc-js", "micro-es-to-grpc-go", "grpc-js-to-grpc-go"]
  : options.only;
const suites = ofGrpc ? ["unary", "download"] : options.suite;
const sizes = ofGrpc ? ["64"] : options.bytes;
/** Features differ by a few percent, so their slices must be close together and numerous. */
const usual = options.ablation ? { slices: 21, sliceMs: 120 } : { slices: 5, sliceMs: 400 };
const pace = {
  slices: Number(options.slices ?? usual.slices),
  sliceMs: Number(options["slice-ms"] ?? usual.sliceMs),
};

const wanted = (list: readonly string[], value: string | number) =>
  list.length === 0 || list.includes(String(value));
const cells = allCells.filter(
  (cell) =>
    (!check || isNeeded(cell)) &&
    (!ablation || (cell.suite === "unary" && cell.bytes === 64 && cell.inFlight === 128)) &&
    wanted(suites, cell.suite) &&
    wanted(options["in-flight"], cell.inFlight) &&
    wanted(sizes, cell.bytes),
);

const say = (line: string) => process.stderr.write(`${line}\n`);
const folder = await prepare(ablation);
process.env.BENCH_PROTOS = protoFolders;
process.env.BENCH_GRPC_GO = (await grpcGoProgram("server")) ?? "";
if (options.profile !== undefined) process.env.BENCH_PROFILE = options.profile;
preferUs();
if (options.scale) process.exit(printScale(await scale(folder)) ? 0 : 1);
if (options["start-up"]) process.exit((await measureStartUp(9)) ? 0 : 1);

const rows = await measureContenders();
if (options.json) for (const row of rows) console.log(JSON.stringify(row));
else if (rows.length > 0) printTable(rows);
let reached = true;
if (check) reached = printGoals(rows, ofGrpc ? grpcGoals : goals);
if (ofGrpc) reached = compareServers() && reached;
if (ablation) reached = printGoals(rows, ablationGoals);
const whole = !ablation && options["in-flight"].length === 0 && sizes.length === 0;
if (whole && wanted(suites, "start-up")) {
  const listening = await measureStartUp(check ? 20 : 9);
  if (check) reached &&= listening;
}
if (check && whole && suites.length === 0) {
  // A hundred thousand reconnections take longer than a short run allows.
  reached = printScale(await scale(folder, ["connections", "streams"])) && reached;
}
process.exit(reached ? 0 : 1);

/** Compares what a gRPC call costs a server; true if the goals are reached. */
function compareServers(): boolean {
  const program = join(import.meta.dirname, "grpc-servers.ts");
  const flags = [...(check ? ["--check"] : []), ...(options.json ? ["--json"] : [])];
  const { status } = spawnSync(process.execPath, [...process.execArgv, program, ...flags], {
    stdio: "inherit",
  });
  return status === 0;
}

async function measureContenders(): Promise<readonly Row[]> {
  const sleepAgain = options["no-spin"] ? () => {} : keepAwake();
  const pairs: Pair[] = [];
  const found: Row[] = [];
  try {
    if (cells.length > 0) pairs.push(...(await startPairs()));
    for (const cell of cells) {
      const chosen = pairs.filter(({ name }) => !check || only.length > 0 || isNeeded(cell, name));
      found.push(...(await measureCell(cell, chosen, pace, say)));
    }
  } finally {
    await Promise.all(pairs.map((pair) => pair.close()));
    sleepAgain();
  }
  return found;
}

async function startPairs(): Promise<readonly Pair[]> {
  const names = check && only.length === 0 ? goalContenders : only;
  const pairs: Pair[] = [];
  for (const file of contenderFiles(ablation ? "ablations" : "contenders")) {
    const name = basename(file);
    if (!wanted(names, name)) continue;
    const { contender } = await import(`${folder}/${file}.js`);
    const reason = await contender.unavailable?.();
    if (reason !== undefined) say(`skipped ${name}: ${reason}`);
    else pairs.push(await startPair(file, folder));
  }
  return pairs;
}

/** True when the start-up goals are reached. */
async function measureStartUp(rounds: number): Promise<boolean> {
  // A short run needs no peers.
  const names = check && only.length === 0 ? ["micro-es", "micro-es-generated"] : only;
  const started = await startUp(folder, rounds, names);
  if (options.json) for (const row of started) console.log(JSON.stringify(row));
  else printStartUp(started);
  const asked = check || options["start-up"];
  return !asked || printGoals(started, startUpGoals(folder));
}
