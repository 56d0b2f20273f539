/** A measurement, with its rate per second of CPU time. */
export interface Measured<K> {
  readonly key: K;
  /** Operations per second, the median of the rounds. */
  readonly rate: number;
  /** The rates of the rounds, in order: those of one round were measured one after another. */
  readonly rates: readonly number[];
}

export interface Measurement<K> {
  readonly key: K;
  readonly run: () => void;
}

const sliceMs = 40;

/**
 * Measures everything in turn, round after round, so that other load affects all alike. Time is CPU
 * time of the process, including garbage collection.
 */
export function measure<K>(measurements: readonly Measurement<K>[], rounds: number): Measured<K>[] {
  const slices = measurements.map(({ key, run }) => ({
    key,
    slice: sliceOf(run),
    rates: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { slice, rates } of slices) rates.push(slice());
  }
  return slices.map(({ key, rates }) => ({ key, rate: median(rates), rates }));
}

/**
 * Determines how often an operation fits into a slice, while it is compiled, and returns a function
 * that runs one slice and returns its rate per second of CPU time.
 */
export function sliceOf(run: () => void): () => number {
  let times = 1;
  let seconds = cpuSeconds(run, times);
  for (let warm = 0; warm < 8 || seconds * 1000 < sliceMs / 2; warm++) {
    times = Math.max(1, Math.ceil((times * sliceMs) / Math.max(seconds * 1000, sliceMs / 50)));
    seconds = cpuSeconds(run, times);
  }
  return () => times / cpuSeconds(run, times);
}

function cpuSeconds(run: () => void, times: number): number {
  // Garbage of earlier measurements must not be collected at the expense of this one.
  collectGarbage();
  const before = process.cpuUsage();
  for (let i = 0; i < times; i++) run();
  const { user, system } = process.cpuUsage(before);
  return Math.max(user + system, 1) / 1e6;
}

const collectGarbage: () => void =
  (globalThis as { gc?: (options: { type: "minor" }) => void }).gc === undefined
    ? () => {}
    : () => (globalThis as unknown as { gc(options: object): void }).gc({ type: "minor" });

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
