import type { Suite } from "./contender.ts";

/** One measurement, taken of every contender that supports it. */
export interface Cell {
  readonly suite: Suite;
  readonly inFlight: number;
  readonly bytes: number;
}

const unary: readonly Cell[] = [64, 1024, 65_536].flatMap((bytes) =>
  [1, 16, 128, 1024].map((inFlight) => ({ suite: "unary" as const, inFlight, bytes })),
);

/** All measurements, in the order of the table. */
export const allCells: readonly Cell[] = [
  ...unary,
  { suite: "download", inFlight: 1, bytes: 64 },
  { suite: "pingpong", inFlight: 1, bytes: 64 },
  { suite: "pingpong", inFlight: 16, bytes: 64 },
  { suite: "publish", inFlight: 1, bytes: 128 },
  { suite: "connect", inFlight: 1, bytes: 64 },
];
