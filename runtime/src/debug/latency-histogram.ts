/** Buckets per power of two; a quantile is accurate to half the width of a bucket, about 6 %. */
const perOctave = 8;
const octaveBits = 3;
/** Enough for 2^32 µs, more than an hour. */
const buckets = (32 - octaveBits + 1) * perOctave;
const maxMicros = 2 ** 31;

/** Summary of a histogram; times in milliseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

class Window {
  readonly counts = new Uint32Array(buckets);
  count = 0;
  sumMs = 0;
  maxMs = 0;

  clear(): void {
    this.counts.fill(0);
    this.count = 0;
    this.sumMs = 0;
    this.maxMs = 0;
  }
}

/**
 * A histogram of latencies over the last one to two time windows. Its memory use does not depend on
 * the number of values.
 */
export class LatencyHistogram {
  readonly #windowMs: number;
  #current = new Window();
  #previous = new Window();
  #endsAt: number;

  /** @param now the time on the monotonic clock, in milliseconds. */
  constructor(windowMs: number, now: number) {
    this.#windowMs = windowMs;
    this.#endsAt = now + windowMs;
  }

  add(ms: number, now: number): void {
    if (now >= this.#endsAt) this.#turn(now);
    const window = this.#current;
    window.counts[bucketOf(ms * 1_000)]! += 1;
    window.count += 1;
    window.sumMs += ms;
    if (ms > window.maxMs) window.maxMs = ms;
  }

  summary(now: number): LatencySummary {
    if (now >= this.#endsAt) this.#turn(now);
    const count = this.#current.count + this.#previous.count;
    const sumMs = this.#current.sumMs + this.#previous.sumMs;
    const maxMs = Math.max(this.#current.maxMs, this.#previous.maxMs);
    const quantile = (part: number) => Math.min(maxMs, this.#quantile(Math.ceil(count * part)));
    return {
      count,
      meanMs: count === 0 ? 0 : sumMs / count,
      p50Ms: quantile(0.5),
      p90Ms: quantile(0.9),
      p99Ms: quantile(0.99),
      maxMs,
    };
  }

  /** The middle of the bucket that contains the value of this rank. */
  #quantile(rank: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < buckets && rank > 0; bucket++) {
      seen += (this.#current.counts[bucket] ?? 0) + (this.#previous.counts[bucket] ?? 0);
      if (seen >= rank) return (startOf(bucket) + startOf(bucket + 1)) / 2_000;
    }
    return 0;
  }

  #turn(now: number): void {
    const [old, last] = [this.#previous, this.#current];
    old.clear();
    // Nothing was recorded for a whole window, so the previous one has expired as well.
    if (now >= this.#endsAt + this.#windowMs) last.clear();
    this.#current = old;
    this.#previous = last;
    this.#endsAt = now + this.#windowMs;
  }
}

function bucketOf(micros: number): number {
  const whole = Math.min(maxMicros, micros) >>> 0;
  if (whole < perOctave) return whole;
  const octave = 31 - Math.clz32(whole);
  const within = (whole >>> (octave - octaveBits)) & (perOctave - 1);
  return (octave - octaveBits + 1) * perOctave + within;
}

/** The lower bound of a bucket, in microseconds. */
function startOf(bucket: number): number {
  if (bucket < perOctave) return bucket;
  const octave = Math.floor(bucket / perOctave) - 1;
  return (perOctave + (bucket % perOctave)) * 2 ** octave;
}
