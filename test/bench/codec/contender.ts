import type { Fixture } from "./fixtures.ts";

/** A codec that is measured, for one fixture. */
export interface Loaded {
  decode(bytes: Uint8Array): unknown;
  /** Into an array that nobody else writes to. */
  encode(message: unknown): Uint8Array;
  /** Into an array that the caller owns. */
  encodeInto?(message: unknown, target: Uint8Array): number;
}

/** One of those that are measured. */
export interface Contender {
  readonly name: string;
  /** @param folder holds what {@link prepare} generated */
  load(fixture: Fixture, folder: string): Promise<Loaded>;
}
