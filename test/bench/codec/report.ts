import type { BundleSize } from "./bundle-size.ts";
import type { Operation } from "./contender-process.ts";
import { fixtures } from "./fixtures.ts";
import { median } from "./measure.ts";

/** One figure. */
export interface Row {
  readonly fixture: string;
  /** Size of the message. */
  readonly bytes: number;
  readonly contender: string;
  readonly operation: Operation;
  /** Operations per second of CPU time, by round. */
  readonly rates: readonly number[];
}

const ours = "micro-es";
const base = "protobuf-es";
/** The contender that must be beaten everywhere. */
const mustBeBeaten = "protobuf.js static";

/** The goals for each fixture, as multiples of protobuf-es. */
const goals: readonly { operation: Operation; times: number; upTo: number }[] = [
  { operation: "decode", times: 3.5, upTo: Number.POSITIVE_INFINITY },
  { operation: "encode", times: 2.5, upTo: Number.POSITIVE_INFINITY },
  { operation: "encode into", times: 4, upTo: 64 * 1024 },
];

/** The largest bundle with the codec of one small message, in bytes after gzip. */
export const largestBundle = 5 * 1024;

/** @param share how much of each goal must be reached */
export function missed(
  rows: readonly Row[],
  sizes: readonly BundleSize[],
  share: number,
): string[] {
  const failures: string[] = [];
  for (const row of rows.filter(({ contender }) => contender === ours)) {
    const reached = ratio(rows, row);
    const hasGoals = fixtures.find(({ name }) => name === row.fixture)!.hasGoals;
    for (const goal of hasGoals ? goals : []) {
      if (goal.operation !== row.operation || row.bytes > goal.upTo) continue;
      if (reached >= goal.times * share) continue;
      failures.push(
        `${row.fixture} ${row.operation}: ${reached.toFixed(2)} times ${base}, not ${goal.times}`,
      );
    }
    for (const other of rows) {
      const same = other.fixture === row.fixture && other.operation === row.operation;
      const ahead =
        other.contender !== mustBeBeaten || !same ? Number.POSITIVE_INFINITY : times(row, other);
      if (ahead < share)
        failures.push(
          `${row.fixture} ${row.operation}: ${ahead.toFixed(2)} times ${other.contender}`,
        );
    }
  }
  const bundle = sizes.find(({ contender }) => contender === ours)!;
  // A figure that does not depend on time gets no slack.
  if (bundle.gzipped > largestBundle) {
    failures.push(`bundle of one message: ${bundle.gzipped} bytes gzipped, not ${largestBundle}`);
  }
  return failures;
}

export function table(rows: readonly Row[], sizes: readonly BundleSize[]): string {
  const lines = [
    "message".padEnd(24) + "codec".padEnd(20) + columns("decode/s", "encode/s", "into/s"),
  ];
  const contenders = [...new Set(rows.map(({ contender }) => contender))];
  for (const fixture of new Set(rows.map(({ fixture }) => fixture))) {
    const own = rows.filter((row) => row.fixture === fixture);
    for (const contender of contenders) {
      const cell = (operation: Operation) => {
        const row = own.find((it) => it.contender === contender && it.operation === operation);
        return row === undefined
          ? "–"
          : `${Math.round(median(row.rates)).toLocaleString("en")} ${ratio(rows, row).toFixed(2)}x`;
      };
      lines.push(
        `${fixture} (${own[0]!.bytes} B)`.padEnd(24) +
          contender.padEnd(20) +
          columns(cell("decode"), cell("encode"), cell("encode into")),
      );
    }
  }
  lines.push("", "bundle of one message".padEnd(24) + columns("minified", "gzipped"));
  for (const { contender, minified, gzipped } of sizes) {
    lines.push(contender.padEnd(24) + columns(`${minified} B`, `${gzipped} B`));
  }
  return lines.join("\n");
}

/** The operations of a contender in the time in which protobuf-es does one. */
function ratio(rows: readonly Row[], row: Row): number {
  const operation = row.operation === "encode into" ? "encode" : row.operation;
  const reference = rows.find(
    (it) => it.fixture === row.fixture && it.contender === base && it.operation === operation,
  );
  return reference === undefined ? Number.NaN : times(row, reference);
}

/** Rounds are compared one by one: load on the machine slows down the whole round. */
function times(row: Row, reference: Row): number {
  return median(row.rates.map((rate, round) => rate / reference.rates[round]!));
}

function columns(...cells: string[]): string {
  return cells.map((cell) => cell.padStart(20)).join("");
}
