import type { BenchCaller, Suite } from "./contender.ts";

/** A short stretch of load of one kind. */
export interface SliceRequest {
  readonly suite: Suite;
  readonly inFlight: number;
  readonly bytes: number;
  readonly ms: number;
  /** Goes on until so many operations are done, though not longer than {@link maxMs}. */
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

/** Latencies that are kept of one slice, evenly spread over it. */
const maxSamples = 100_000;

/** Runs a slice and tells what came of it; rejects when any operation fails or answers wrongly. */
export async function measure(caller: BenchCaller, slice: SliceRequest): Promise<SliceResult> {
  const payload = new Uint8Array(slice.bytes).fill(7);
  const one = operation(caller, slice.suite, payload);
  const samples: number[] = [];
  let operations = 0;
  const began = performance.now();
  const end = began + slice.ms;
  const { atLeast = 0 } = slice;
  const latest = began + (slice.maxMs ?? slice.ms);
  const worker = async () => {
    let now = performance.now();
    while (now < end || (operations < atLeast && now < latest)) {
      const count = await one();
      const after = performance.now();
      if (samples.length < maxSamples) samples.push(after - now);
      operations += count;
      now = after;
    }
  };
  await Promise.all(Array.from({ length: slice.inFlight }, worker));
  const elapsedMs = performance.now() - began;
  samples.sort((a, b) => a - b);
  const at = (share: number) => (samples[Math.floor((samples.length - 1) * share)] ?? 0) * 1000;
  return { operations, elapsedMs, p50Us: at(0.5), p99Us: at(0.99) };
}

/** Messages that one round of a streaming suite moves. */
const perRound = { download: 1_000, pingpong: 100, publish: 500 } as const;

function operation(caller: BenchCaller, suite: Suite, payload: Uint8Array): () => Promise<number> {
  const { download, pingPong, publish, connectOnce } = caller;
  switch (suite) {
    case "unary":
      return async () => {
        const length = await caller.unary(payload);
        if (length !== payload.length)
          throw new Error(`${length} bytes came back of ${payload.length}`);
        return 1;
      };
    case "download":
      return streaming(download?.bind(caller), payload, perRound.download);
    case "pingpong":
      return streaming(pingPong?.bind(caller), payload, perRound.pingpong);
    case "publish":
      return streaming(publish?.bind(caller), payload, perRound.publish);
    case "connect":
      if (connectOnce === undefined) throw new Error("this contender cannot do that");
      return async () => {
        await connectOnce.call(caller);
        return 1;
      };
  }
}

function streaming(
  move: ((payload: Uint8Array, count: number) => Promise<number>) | undefined,
  payload: Uint8Array,
  count: number,
): () => Promise<number> {
  if (move === undefined) throw new Error("this contender cannot do that");
  return async () => {
    const moved = await move(payload, count);
    if (moved !== count) throw new Error(`${moved} of ${count} messages came`);
    return moved;
  };
}
