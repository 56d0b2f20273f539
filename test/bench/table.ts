import type { Suite } from "./contender.ts";

/** One figure of one contender, as `--json` prints it. */
export interface Row {
  readonly suite: Suite;
  readonly contender: string;
  readonly inFlight: number;
  readonly bytes: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Processor time of both sides for one call or message. */
  readonly cpuUsPerOperation: number;
  readonly serverRssMb: number;
  /** Null when that contender did not run. */
  readonly ratioToGrpcJs: number | null;
  readonly ratioToRawTcp: number | null;
}

/** Prints the rows, the fastest first in each cell, with a blank line between cells. */
export function printTable(rows: readonly Row[]): void {
  const head = [
    "suite",
    "bytes",
    "in flight",
    "contender",
    "per second",
    "x grpc-js",
    "x raw tcp",
    "p50 us",
    "p99 us",
    "cpu us",
    "RSS MB",
  ];
  const cellOf = (row: Row) => `${row.suite} ${row.bytes} ${row.inFlight}`;
  const cells = [...new Set(rows.map(cellOf))];
  const lines = cells.flatMap((cell) => [
    ...rows
      .filter((row) => cellOf(row) === cell)
      .sort((a, b) => b.perSecond - a.perSecond)
      .map((row) => [
        row.suite,
        String(row.bytes),
        String(row.inFlight),
        row.contender,
        row.perSecond.toLocaleString("en"),
        row.ratioToGrpcJs?.toFixed(2) ?? "-",
        row.ratioToRawTcp?.toFixed(2) ?? "-",
        String(row.p50Us),
        String(row.p99Us),
        row.cpuUsPerOperation.toFixed(1),
        String(row.serverRssMb),
      ]),
    [],
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  for (const line of [head, ...lines]) {
    console.log(
      line
        .map((text, column) =>
          column < 4 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0),
        )
        .join("  "),
    );
  }
}
