/** A key set, kept for a start while the issuer is unreachable. */
export interface KeptKeySet {
  /** Where the set was read. */
  readonly place: string;
  /** Milliseconds since 1970. */
  readonly readAtMs: number;
  readonly keySet: string;
}

/** How far the clock may have been set back since the file was written, in milliseconds. */
const toleranceMs = 5 * 60_000;

/** @throws Error if it is of another place, was read in the future, or has another format. */
export function readKeptKeySet(
  { place, readAtMs, keySet }: { readonly [K in keyof KeptKeySet]?: unknown },
  expected: string,
): KeptKeySet {
  if (typeof keySet !== "string" || typeof readAtMs !== "number") throw new Error("unknown format");
  if (place !== expected) throw new Error(`it is not of ${expected}`);
  if (readAtMs > Date.now() + toleranceMs) throw new Error("it was read in the future");
  return { place: expected, readAtMs, keySet };
}
