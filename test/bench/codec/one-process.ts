import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DescMessage } from "@bufbuild/protobuf";
import type { Contender, Loaded } from "./contender.ts";
import { microEs } from "./contenders/micro-es.ts";
import { protobufEs } from "./contenders/protobuf-es.ts";
import { protobufJs } from "./contenders/protobufjs.ts";
import { tsProto } from "./contenders/ts-proto.ts";
import { bytesOf, type Fixture, fixtures } from "./fixtures.ts";
import { type Slowdown, slowdowns } from "./malformed.ts";
import { type Measurement, measure } from "./measure.ts";
import type { Row } from "./report.ts";

/** What one process is to measure. */
export interface Task {
  /** The names of the fixtures. */
  readonly fixtures: readonly string[];
  readonly rounds: number;
  /** Whether to measure how much slower decoding is after malformed bytes. */
  readonly malformed: boolean;
  /** Holds what `prepare` generated. */
  readonly folder: string;
}

export interface Result {
  readonly rows: readonly Row[];
  readonly slower: readonly Slowdown[];
}

/**
 * Measures all contenders in a process of its own. What an engine makes of the same code differs from process to process, by a
 * factor of two for some, so that a figure needs several of them.
 */
export function measuredInProcess(task: Task): Result {
  const file = fileURLToPath(import.meta.url);
  const args = [...process.execArgv, file, JSON.stringify(task)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Result;
}

const contenders: readonly Contender[] = [microEs, protobufEs, protobufJs, tsProto];

type Case = readonly [Fixture, [Contender, Loaded][], Uint8Array];

interface Key {
  readonly contender: string;
  readonly operation: Row["operation"];
}

/** Where results go, so that nobody can tell that they are of no use. */
let sink: unknown;

/** Every codec meets all fixtures before anything is measured, as in a program that has more than one message. */
async function load(folder: string): Promise<Case[]> {
  const cases: Case[] = [];
  for (const fixture of fixtures) {
    const module = join(folder, `${fixture.proto}_pb.ts`);
    const schemas = (await import(module)) as Record<string, DescMessage>;
    const bytes = bytesOf(schemas[`${fixture.typeName.split(".").at(-1)}Schema`]!, fixture);
    const codecs: [Contender, Loaded][] = [];
    for (const contender of contenders) {
      const codec = await contender.load(fixture, folder);
      const { length } = codec.encode(codec.decode(bytes));
      if (length !== bytes.length) {
        const { name } = contender;
        throw new Error(`${name} writes ${fixture.name} in ${length} bytes, not ${bytes.length}`);
      }
      for (let i = 0; i < 20; i++) sink = codec.encode(codec.decode(bytes));
      codecs.push([contender, codec]);
    }
    cases.push([fixture, codecs, bytes]);
  }
  return cases;
}

function rowsOf([fixture, codecs, bytes]: Case, rounds: number): Row[] {
  const measurements: Measurement<Key>[] = [];
  for (const [{ name: contender }, codec] of codecs) {
    const message = codec.decode(bytes);
    const target = new Uint8Array(bytes.length + 64);
    const { encodeInto } = codec;
    const add = (operation: Row["operation"], run: () => unknown) => {
      measurements.push({
        key: { contender, operation },
        run: () => {
          sink = run();
        },
      });
    };
    add("decode", () => codec.decode(bytes));
    add("encode", () => codec.encode(message));
    if (encodeInto !== undefined) add("encode into", () => encodeInto(message, target));
  }
  return measure(measurements, rounds).map(({ key, rates }) => ({
    fixture: fixture.name,
    bytes: bytes.length,
    ...key,
    rates,
  }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const task = JSON.parse(process.argv[2]!) as Task;
  const cases = await load(task.folder);
  const rows = cases
    .filter(([{ name }]) => task.fixtures.includes(name))
    .flatMap((it) => rowsOf(it, task.rounds));
  if (sink === undefined) throw new Error("nothing was measured");
  const slower = task.malformed ? slowdowns(cases, 15) : [];
  console.log(JSON.stringify({ rows, slower } satisfies Result));
}
