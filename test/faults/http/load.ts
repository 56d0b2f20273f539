import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** The results of a client under load. */
export interface LoadFigures {
  readonly calls: number;
  readonly failed: number;
  /** The first errors, each once. */
  readonly errors: readonly string[];
  /** Of the calls that succeeded, in milliseconds. */
  readonly p99Ms: number;
}

/**
 * Calls at a fixed rate, however long responses take, until a line arrives on standard input; then
 * waits for the rest and writes the figures. Writes `ready` when a hundred calls in a row have
 * succeeded.
 *
 * @param perSecond calls per second
 */
export async function underLoad(perSecond: number, call: () => Promise<unknown>): Promise<void> {
  for (let inARow = 0; inARow < 100; ) {
    inARow = await call().then(
      () => inARow + 1,
      () => 0,
    );
  }
  console.log("ready");
  const stop = new AbortController();
  createInterface({ input: process.stdin }).once("line", () => stop.abort());
  const latencies: number[] = [];
  const errors = new Set<string>();
  let [calls, failed, open] = [0, 0, 0];
  const one = async () => {
    open++;
    const began = performance.now();
    try {
      await call();
      latencies.push(performance.now() - began);
    } catch (error) {
      failed++;
      if (errors.size < 5) errors.add(error instanceof Error ? error.message : String(error));
    }
    open--;
  };
  const began = performance.now();
  while (!stop.signal.aborted) {
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond);
    while (calls < due) {
      calls++;
      void one();
    }
    await sleep(5);
  }
  while (open > 0) await sleep(5);
  latencies.sort((a, b) => a - b);
  const p99Ms = Math.round(latencies[Math.floor(latencies.length * 0.99)] ?? 0);
  const figures: LoadFigures = { calls, failed, errors: [...errors], p99Ms };
  console.log(JSON.stringify(figures));
  process.exit();
}
