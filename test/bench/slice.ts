import type { BenchCaller, Suite } from "./contender.ts";

/** A short period of load of one kind. */
export interface SliceRequest {
  readonly suite: Suite;
  readonly inFlight: number;
  readonly bytes: number;
  readonly ms: number;
  /** Continues until this many operations are done, but not longer than {@link maxMs}. */
  readonly atLeast?: number;
  readonly maxMs?: number;
}

export interface SliceResult {
  /** Calls, messages or connections. */
  readonly operations: number;
  readonly elapsedMs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Latencies kept of one slice, evenly spread over it. */
const maxSamples = 100_000;

/** Runs a slice and returns the result; rejects when any operation fails or responds wrongly. */
export async function measure(caller: BenchCaller, slice: SliceRequest): Promise<SliceResult> {
  const payload = new Uint8Array(slice.bytes).fill(7);
  const samples: number[] = [];
  let operations = 0;
  let over = false;
  const began = performance.now();
  const end = began + slice.ms;
  const { atLeast = 0 } = slice;
  const latest = began + (slice.maxMs ?? slice.ms);
  const ended = (now: number) => now >= end && (operations >= atLeast || now >= latest);
  const unary = async () => {
    if (caller.unary === undefined) throw cannot();
    while (!over) {
      const sent = performance.now();
      check(await caller.unary(payload), payload);
      const now = performance.now();
      if (samples.length < maxSamples) samples.push(now - sent);
      operations++;
      // With many calls per tick, the clock is not read for each: reading it costs a noticeable
      // part of a fast call.
      for (let more = slice.inFlight >= 16 ? 7 : 0; more > 0; more--) {
        check(await caller.unary(payload), payload);
        operations++;
      }
      over ||= ended(now);
    }
  };
  const other = async () => {
    const one = operation(caller, slice.suite as Exclude<Suite, "unary">, payload);
    while (!over) {
      const sent = performance.now();
      // Not in one statement with the sum: others count while this one waits.
      const moved = await one();
      operations += moved;
      const now = performance.now();
      if (samples.length < maxSamples) samples.push(now - sent);
      over ||= ended(now);
    }
  };
  const worker = slice.suite === "unary" ? unary : other;
  await Promise.all(Array.from({ length: slice.inFlight }, worker));
  const elapsedMs = performance.now() - began;
  samples.sort((a, b) => a - b);
  const at = (share: number) => (samples[Math.floor((samples.length - 1) * share)] ?? 0) * 1000;
  return { operations, elapsedMs, p50Us: at(0.5), p99Us: at(0.99) };
}

/** Messages moved by one round of a streaming suite. */
const perRound = { download: 1_000, pingpong: 100, publish: 500 } as const;

function check(
  answer: number | { readonly payload: { readonly length: number } },
  { length }: Uint8Array,
): void {
  const came = typeof answer === "number" ? answer : answer.payload.length;
  if (came !== length) throw new Error(`${came} bytes came back of ${length}`);
}

function operation(
  caller: BenchCaller,
  suite: Exclude<Suite, "unary">,
  payload: Uint8Array,
): () => Promise<number> {
  const { download, pingPong, publish, connectOnce } = caller;
  switch (suite) {
    case "download":
      return streaming(download?.bind(caller), payload, perRound.download);
    case "pingpong":
      return streaming(pingPong?.bind(caller), payload, perRound.pingpong);
    case "publish":
      return streaming(publish?.bind(caller), payload, perRound.publish);
    case "connect":
      if (connectOnce === undefined) throw cannot();
      return async () => {
        await connectOnce.call(caller);
        return 1;
      };
  }
}

function cannot(): Error {
  return new Error("this contender cannot do that");
}

function streaming(
  move: ((payload: Uint8Array, count: number) => Promise<number>) | undefined,
  payload: Uint8Array,
  count: number,
): () => Promise<number> {
  if (move === undefined) throw cannot();
  return async () => {
    const moved = await move(payload, count);
    if (moved !== count) throw new Error(`${moved} of ${count} messages came`);
    return moved;
  };
}
