import {
  countOrNone,
  either,
  labels,
  type OptionKind,
  type OptionKindsOf,
  optionsOf,
  required,
  signal,
  text,
} from "../base/option-check.ts";
import type { DeleteOptions, Fence, ListOptions, WriteOptions } from "./store.ts";

const prefix: OptionKind = { words: "a string", accepts: (value) => typeof value === "string" };

const ttlMs: OptionKind = {
  words: "a duration in milliseconds over 0, for example 60000",
  accepts: (value) => typeof value === "number" && value > 0 && value <= latestTime,
};

/** The latest time that a `Date` can hold. */
const latestTime = 8.64e15;

const version: OptionKind = {
  words: "a version that this store returned, or 0n",
  accepts: (value) => typeof value === "bigint" && value >= 0n,
};

/** The longest name of a lock in a fence, in characters. */
const maxFenceLock = 512;

const fence: OptionKind = optionsOf<Fence>({
  lock: required({
    words: `the id of a lock, of at most ${maxFenceLock} characters`,
    accepts: (value) => text.accepts(value) && (value as string).length <= maxFenceLock,
  }),
  token: required({
    words: "the token of a lock or the epoch of a leader, for example 7n",
    accepts: (value) => typeof value === "bigint" && value >= 0n && value < 1n << 64n,
  }),
});

/** The options of a deletion. */
export const deleteKinds: OptionKindsOf<DeleteOptions> = { ifVersion: version, fence };

/** The options of a write. */
export const writeKinds: OptionKindsOf<WriteOptions> = { ...deleteKinds, ttlMs, metadata: labels };

const all: OptionKind = {
  words: "Infinity",
  accepts: (value) => value === Number.POSITIVE_INFINITY,
};

/** The options of a listing or a watch. */
export const listKinds: OptionKindsOf<ListOptions> = {
  prefix,
  suffix: prefix,
  limit: either(countOrNone, all),
  offset: countOrNone,
  after: prefix,
  signal,
};
