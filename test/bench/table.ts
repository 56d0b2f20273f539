import type { Suite } from "./contender.ts";

/** One figure of one contender, as `--json` prints it. */
export interface Row {
  readonly suite: Suite;
  readonly contender: string;
  readonly inFlight: number;
  readonly bytes: number;
  readonly perSecond: number;
  /**
   * Latency of a call or a new connection; in the other suites of a round, whose number of messages
   * is in slice.ts.
   */
  readonly p50Us: number;
  readonly p99Us: number;
  /** Null if that contender did not run. */
  readonly ratioToGrpcJs: number | null;
  readonly ratioToRawTcp: number | null;
  /** Processor time of both sides per call or message. */
  readonly cpuUsPerOperation: number;
  readonly clientCpuSecondsPer10k: number;
  readonly serverCpuSecondsPer10k: number;
  readonly clientRssMb: number;
  readonly serverRssMb: number;
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
    "cpu s/10k client",
    "server",
    "RSS MB client",
    "server",
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
        row.clientCpuSecondsPer10k.toFixed(3),
        row.serverCpuSecondsPer10k.toFixed(3),
        String(row.clientRssMb),
        String(row.serverRssMb),
      ]),
    [],
  ]);
  console.log(formatTable([head, ...lines], 4));
}

/**
 * Aligns the columns of a table.
 *
 * @param left how many columns are aligned to the left; the rest are to the right
 */
export function formatTable(lines: readonly (readonly string[])[], left = 1): string {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [column, text] of line.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, text.length);
    }
  }
  const pad = (text: string, column: number) =>
    column < left ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return lines.map((line) => line.map(pad).join("  ")).join("\n");
}
