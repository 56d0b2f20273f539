import assert from "node:assert/strict";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { MicroError, type Outcome } from "@micro-es/runtime";

/** A moment at which a signal fires, counted from the call of the operation that takes it. */
export interface AbortMoment {
  readonly name: string;
  /** Resolves at the moment; undefined for a moment within the turn of the call. */
  reached(): Promise<unknown> | undefined;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

/** Moments during the setup of an operation. Setup in memory completes before most of them. */
export const abortMoments: readonly AbortMoment[] = [
  { name: "right after the call", reached: () => undefined },
  { name: "a microtask later", reached: () => Promise.resolve() },
  ...[1, 2, 4, 8].map((count) => ({ name: `${count} turns later`, reached: () => turns(count) })),
  ...[1, 3, 10].map((ms) => ({ name: `${ms} ms later`, reached: () => sleep(ms) })),
];

/**
 * Longer than it takes to notice an abort on a busy machine, and shorter than any timeout of an
 * operation.
 */
const promptMs = 2_000;

/**
 * Begins an operation, fires its signal at a moment and requires that it rejects at once with
 * `canceled` and one of the outcomes, unless it has already resolved.
 * @param options.outcomes default `not-executed`.
 * @param options.leaves whether the operation leaves something behind, which is the default. One
 * that only reads, or whose effect is wanted anyway, may still resolve, at once.
 * @returns the value that it resolved with.
 */
export async function abortAt<T>(
  moment: AbortMoment,
  operation: (signal: AbortSignal) => Promise<T>,
  {
    outcomes = ["not-executed"],
    leaves = true,
  }: { readonly outcomes?: readonly Outcome[]; readonly leaves?: boolean } = {},
): Promise<T | undefined> {
  const controller = new AbortController();
  const working = operation(controller.signal);
  working.catch(() => {});
  const reached = moment.reached();
  if (reached !== undefined) await reached;
  const done = !isPending(working);
  controller.abort();
  if (done) return working;
  // The result of a completed operation passes through the promises of its wrappers, which takes
  // only microtasks.
  for (let microtask = 0; microtask < 50; microtask++) await undefined;
  if (!isPending(working) && (await isFulfilled(working))) return working;
  const late = Symbol("late");
  const outcome = await Promise.race([
    working.then(
      () => "resolved",
      (reason: unknown) => reason,
    ),
    sleep(promptMs, late, { ref: false }),
  ]);
  assert.notEqual(outcome, late, `not settled ${promptMs} ms after an abort ${moment.name}`);
  if (outcome === "resolved" && !leaves) return working;
  assert.ok(outcome instanceof MicroError, `${moment.name}: ${String(outcome)}`);
  assert.equal(outcome.code, "canceled", `${moment.name}: ${outcome.message}`);
  assert.ok(outcomes.includes(outcome.outcome), `${moment.name}: ${outcome.outcome}`);
  return undefined;
}

/** Whether a promise is pending; there is no way to find out without letting microtasks run. */
function isPending(promise: Promise<unknown>): boolean {
  return /^Promise {\s*<pending>/.test(inspect(promise, { depth: 0 }));
}

function isFulfilled(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  );
}
