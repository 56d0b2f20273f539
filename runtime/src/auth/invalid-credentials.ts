import { Bucket } from "../base/rate-limit.ts";
import type { Peer } from "../call/call.ts";
import { connectionOf } from "../call/connection-peer.ts";

/**
 * How many credentials of a connection may be invalid, in addition to one for each call with a
 * valid one: a proxy sends those of many callers on one connection.
 */
const allowance = { what: "invalid credentials", burst: 100, perSecond: 1 };

/** What the connections that have presented invalid credentials may still present. */
const failures = new WeakMap<object, Bucket>();

/** Counts an invalid credential of a connection. */
export function countInvalid(peer: Peer): void {
  const connection = connectionOf(peer);
  let bucket = failures.get(connection);
  if (bucket === undefined) {
    bucket = new Bucket(allowance);
    failures.set(connection, bucket);
  }
  // Many may have been at work when it was used up.
  if (!bucket.isOverdrawn) bucket.take();
}

/** Counts a call of a connection whose credential is valid. */
export function countValid(peer: Peer): void {
  failures.get(connectionOf(peer))?.add(1);
}

/** Whether any credential of a connection was invalid. */
export function hasPresentedInvalid(peer: Peer): boolean {
  return failures.has(connectionOf(peer));
}

/** Whether so many were invalid lately that no further one is verified for now. */
export function presentsTooManyInvalid(peer: Peer): boolean {
  return failures.get(connectionOf(peer))?.isOverdrawn === true;
}
