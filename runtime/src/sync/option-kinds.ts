import { type OptionKind, type OptionKindsOf, oneOf, signal, text } from "../base/option-check.ts";
import { anyDuration } from "../base/option-kinds.ts";
import { type LeadOptions, type LockListOptions, type LockOptions, minLockTtlMs } from "./sync.ts";

/** The longest ttl, in milliseconds: a lease must end eventually. */
const maxTtlMs = 24 * 3_600_000;

const ttlMs: OptionKind = {
  words: `a duration in milliseconds from ${minLockTtlMs} to ${maxTtlMs}, for example 15000`,
  accepts: (value) => typeof value === "number" && value >= minLockTtlMs && value <= maxTtlMs,
};

const waitKinds = {
  ttlMs,
  waitMs: anyDuration,
  signal,
  renewal: oneOf("automatic", "manual"),
};

/** The options of taking a lock. */
export const lockKinds: OptionKindsOf<LockOptions> = { ...waitKinds, holder: text };

/** The options of a leader election. */
export const leadKinds: OptionKindsOf<LeadOptions> = { ...waitKinds, candidate: text };

/** The options of listing locks or leaders. */
export const lockListKinds: OptionKindsOf<LockListOptions> = {
  prefix: { words: "a string", accepts: (value) => typeof value === "string" },
  signal,
};
