/** The time of a command line from the start of its process to its end. */
export interface CliRow {
  readonly command: string;
  readonly medianMs: number;
  readonly leastMs: number;
  /** The median as a multiple of the median of an empty process, in the same run. */
  readonly timesNode: number;
}

/** Allowed medians of command lines, in milliseconds. */
const goals: Readonly<Record<string, number>> = { "micro --help": 150 };

/** @param bare the command that does nothing */
export function summarize(
  times: ReadonlyMap<string, readonly number[]>,
  bare: string,
): readonly CliRow[] {
  const median = (of: readonly number[]) =>
    of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? Number.NaN;
  const node = median(times.get(bare) ?? []);
  return Array.from(times, ([command, all]) => {
    const medianMs = median(all);
    return { command, medianMs, leastMs: Math.min(...all), timesNode: medianMs / node };
  });
}

/** A sentence for each goal that was missed or not measured. */
export function missedCliGoals(rows: readonly CliRow[]): readonly string[] {
  return Object.entries(goals).flatMap(([command, most]) => {
    const row = rows.find((it) => it.command === command);
    if (row === undefined) return [`${command} was not measured`];
    if (row.medianMs <= most) return [];
    return [`${command} takes ${row.medianMs.toFixed(1)} ms, over ${most} ms`];
  });
}
