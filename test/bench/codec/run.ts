import { join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import { bundleSizes } from "./bundle-size.ts";
import type { Contender, Loaded } from "./contender.ts";
import { microEs } from "./contenders/micro-es.ts";
import { protobufEs } from "./contenders/protobuf-es.ts";
import { protobufJs } from "./contenders/protobufjs.ts";
import { tsProto } from "./contenders/ts-proto.ts";
import { bytesOf, type Fixture, fixtures } from "./fixtures.ts";
import { shareOfGoals } from "./guard.ts";
import { slowdowns, slowdownTable } from "./malformed.ts";
import { type Measurement, measure } from "./measure.ts";
import { prepare } from "./prepare.ts";
import { missed, type Row, table } from "./report.ts";

/**
 * `npm run bench:codec`: our codecs beside others, as a table. `--json` prints a line for each figure instead,
 * `--check` ends with status 1 when a figure is missed, `--guard` when it is missed by far, `--rounds N` measures more or less often, and names of
 * fixtures choose some. `--malformed` says how much slower decoding is after malformed bytes.
 */

const words = process.argv.slice(2);
const at = words.indexOf("--rounds");
const rounds = at < 0 ? 15 : Number(words[at + 1]);
const chosen = fixtures.filter(
  ({ name }) => words.includes(name) || !fixtures.some((it) => words.includes(it.name)),
);
const contenders: readonly Contender[] = [microEs, protobufEs, protobufJs, tsProto];

type Operation = "decode" | "encode" | "encode into";
interface Key {
  readonly fixture: string;
  readonly contender: string;
  readonly operation: Operation;
}

const folder = prepare();
let sink: unknown;
const rows: Row[] = [];
// Every codec meets all fixtures before anything is measured, as in a program that has more than one message.
const loaded: [Fixture, [Contender, Loaded][], Uint8Array][] = [];
for (const fixture of fixtures) {
  const codecs: [Contender, Loaded][] = [];
  for (const contender of contenders)
    codecs.push([contender, await contender.load(fixture, folder)]);
  const schemas = (await import(join(folder, `${fixture.proto}_pb.ts`))) as Record<
    string,
    DescMessage
  >;
  const schema = schemas[`${fixture.typeName.split(".").at(-1)}Schema`]!;
  const bytes = bytesOf(schema, fixture);
  for (const [contender, codec] of codecs) {
    const again = codec.encode(codec.decode(bytes));
    if (again.length !== bytes.length) {
      throw new Error(
        `${contender.name} writes ${fixture.name} in ${again.length} bytes, not ${bytes.length}`,
      );
    }
    for (let i = 0; i < 20; i++) sink = codec.encode(codec.decode(bytes));
  }
  loaded.push([fixture, codecs, bytes]);
}
for (const [fixture, codecs, bytes] of loaded) {
  if (!chosen.includes(fixture)) continue;
  const measurements: Measurement<Key>[] = [];
  for (const [{ name }, codec] of codecs) {
    const key = { fixture: fixture.name, contender: name };
    const message = codec.decode(bytes);
    const target = new Uint8Array(bytes.length + 64);
    const { encodeInto } = codec;
    measurements.push({
      key: { ...key, operation: "decode" },
      run: () => {
        sink = codec.decode(bytes);
      },
    });
    measurements.push({
      key: { ...key, operation: "encode" },
      run: () => {
        sink = codec.encode(message);
      },
    });
    if (encodeInto === undefined) continue;
    measurements.push({
      key: { ...key, operation: "encode into" },
      run: () => {
        sink = encodeInto(message, target);
      },
    });
  }
  for (const { key, rate, rates } of measure(measurements, rounds)) {
    rows.push({ ...key, bytes: bytes.length, rate, rates });
  }
}
if (sink === undefined) throw new Error("nothing was measured");

const slower = words.includes("--malformed") ? slowdowns(loaded, rounds) : [];
const sizes = await bundleSizes(folder);
if (words.includes("--json")) {
  for (const { rates: _, ...row } of rows) console.log(JSON.stringify(row));
  for (const size of sizes) console.log(JSON.stringify(size));
  for (const row of slower) console.log(JSON.stringify(row));
} else {
  console.log(table(rows, sizes));
  if (slower.length > 0) console.log(slowdownTable(slower));
}
const share = shareOfGoals(words);
if (share !== undefined) {
  const failures = missed(rows, sizes, share);
  for (const failure of failures) console.error(`MISSED ${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
