import type { JsonWebKey } from "node:crypto";
import { MicroError, messageOf } from "../../base/error.ts";
import type { AuthAlgorithm } from "../auth.ts";
import { isTable } from "../token-form.ts";
import { clockSkewMs, maxTokenLifeMs } from "../token-policy.ts";

/** `next` is published before it signs; `retiring` no longer signs, and still verifies. */
export type KeyState = "next" | "active" | "retiring";

/** A key of an issuer. Times are in milliseconds since 1970. */
export interface RingKey {
  readonly id: string;
  readonly algorithm: AuthAlgorithm;
  readonly state: KeyState;
  /** When the state ends. */
  readonly untilMs: number;
  readonly publicKey: JsonWebKey;
  /** A JWE if keys are wrapped, otherwise the JWK itself as JSON. */
  readonly privateKey: string;
}

/** All keys of an issuer, in one record, so that each step of a rotation is one write. */
export interface KeyRing {
  readonly issuer: string;
  readonly keys: readonly RingKey[];
}

/** Where the key ring is in a store. */
export const ringPrefix = "auth/keys/";
export const ringKey: string = `${ringPrefix}ring`;

/** The times of a rotation, in milliseconds. */
export interface RotationTimes {
  /** How often verifiers read the keys. */
  readonly refreshMs: number;
  /** How long a key signs. */
  readonly rotationMs: number;
}

/** A new key that has no place in a ring yet. */
export type NewKey = Omit<RingKey, "state" | "untilMs">;

/** How long before it signs a key is published: every verifier has read it by then. */
export function leadMs({ refreshMs }: RotationTimes): number {
  return 2 * refreshMs;
}

/**
 * The ring after everything that is due: retired keys are gone, the next key is active, and one is
 * published in time before the active key ends. Returns the ring itself if nothing is due.
 *
 * @param rotate publishes a next key in any case, if there is none
 */
export function advanceRing(
  ring: KeyRing,
  times: RotationTimes,
  nowMs: number,
  makeKey: () => NewKey,
  rotate: boolean = false,
): KeyRing {
  let keys = ring.keys.filter(({ state, untilMs }) => state !== "retiring" || untilMs > nowMs);
  const hasActive = keys.some(({ state }) => state === "active");
  const next = keys.find(({ state }) => state === "next");
  if (next !== undefined && (next.untilMs <= nowMs || !hasActive)) {
    keys = keys.map((key) => promoted(key, times, nowMs));
  } else if (!hasActive) {
    keys = [...keys, { ...makeKey(), state: "active", untilMs: nowMs + times.rotationMs }];
  }
  const active = keys.find(({ state }) => state === "active")!;
  const isDue = rotate || active.untilMs - leadMs(times) <= nowMs;
  if (isDue && !keys.some(({ state }) => state === "next")) {
    keys = [...keys, { ...makeKey(), state: "next", untilMs: nowMs + leadMs(times) }];
  }
  const isUnchanged =
    keys.length === ring.keys.length && keys.every((key, index) => key === ring.keys[index]);
  return isUnchanged ? ring : { ...ring, keys };
}

function promoted(key: RingKey, { refreshMs, rotationMs }: RotationTimes, nowMs: number): RingKey {
  if (key.state === "next") return { ...key, state: "active", untilMs: nowMs + rotationMs };
  if (key.state === "retiring") return key;
  // A process that does not know of the change yet may sign by it for one more refresh.
  const untilMs = nowMs + refreshMs + maxTokenLifeMs + 2 * clockSkewMs;
  return { ...key, state: "retiring", untilMs };
}

/** The ring without a key, at once: tokens signed by it are no longer valid. */
export function withoutKey(ring: KeyRing, id: string): KeyRing {
  const keys = ring.keys.filter((key) => key.id !== id);
  return keys.length === ring.keys.length ? ring : { ...ring, keys };
}

export function encodeRing(ring: KeyRing): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(ring));
}

/** @throws MicroError `data_loss` for a record that is not a key ring. */
export function decodeRing(value: Uint8Array): KeyRing {
  let ring: unknown;
  try {
    ring = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch (error) {
    throw malformed(messageOf(error));
  }
  if (!isTable(ring) || typeof ring.issuer !== "string" || !Array.isArray(ring.keys)) {
    throw malformed("it has no issuer or no keys");
  }
  for (const key of ring.keys as unknown[]) {
    if (!isTable(key) || !isRingKey(key)) throw malformed("one of its keys is incomplete");
  }
  return ring as unknown as KeyRing;
}

function isRingKey(key: Readonly<Record<string, unknown>>): boolean {
  const { id, algorithm, state, untilMs, publicKey, privateKey } = key;
  return (
    typeof id === "string" &&
    typeof algorithm === "string" &&
    ["next", "active", "retiring"].includes(state as string) &&
    typeof untilMs === "number" &&
    isTable(publicKey) &&
    typeof privateKey === "string"
  );
}

function malformed(why: string): MicroError {
  return new MicroError(
    "data_loss",
    `the record ${ringKey} is not a key ring: ${why}; restore it, or delete it to start with new ` +
      "keys, which ends all tokens",
  );
}
