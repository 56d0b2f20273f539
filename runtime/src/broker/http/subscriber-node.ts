import { isIP } from "node:net";
import { formatAddress, parseAddress } from "../../base/address.ts";
import { MicroError, type Outcome } from "../../base/error.ts";
import type { Node } from "../../registry/registry.ts";
import type { AllowAddress } from "./allowed-addresses.ts";

/** The service name under which go-micro's HTTP brokers register their subscriptions. */
export const brokerService = "micro.http.broker";

/** The version of a subscription outside any queue group; in a group it is the group's name. */
export const broadcastVersion = "ff.http.broadcast";

/** The ids that a batch can name. */
const nativeId = /^[\x21-\x7e]{1,255}$/;

/** The value of `native` in the record of a subscription that accepts events natively. */
const nativeVersion = "1";

/** A subscription, as its registry record describes it. */
export interface Target {
  readonly id: string;
  readonly topic: string;
  /** Undefined outside any group. */
  readonly queue: string | undefined;
  /** Host and port, as they are registered. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Whether it accepts events over the native protocol too (docs/events.md). */
  readonly native: boolean;
}

/** The registry record of a subscription, in go-micro's format. */
export function subscriptionNode(
  id: string,
  topic: string,
  queue: string | undefined,
  address: string,
  native: boolean,
): Node {
  const metadata = { broker: "http", topic, secure: "false" };
  return {
    id,
    service: brokerService,
    version: queue ?? broadcastVersion,
    address,
    metadata: native ? { ...metadata, native: nativeVersion } : metadata,
    endpoints: [],
  };
}

/** Parses a record; returns a string with the reason if this broker cannot send to it. */
export function readNode(node: Node): Target | string {
  const { broker, topic, secure, native } = node.metadata;
  if (broker !== "http") return "it is not of an HTTP broker";
  if (topic === undefined) return "it names no topic";
  if (secure === "true") return "it asks for TLS, which this broker does not speak";
  const address = parseAddress(node.address);
  if (address.kind !== "host") return `${formatAddress(address)} is not an address for HTTP`;
  const queue = node.version === broadcastVersion ? undefined : node.version;
  const isNative = native === nativeVersion && nativeId.test(node.id);
  const { host, port } = address;
  return { id: node.id, topic, queue, address: node.address, host, port, native: isNative };
}

/** The error of an event that did not reach a subscriber, or whose response did not return. */
export function unreachable(
  target: Target,
  why: string,
  outcome: Outcome,
  cause?: unknown,
): MicroError {
  const message = `cannot send an event to ${nameOf(target)}: ${why}`;
  return new MicroError("unavailable", message, { outcome, cause });
}

/** The error of an event for a subscriber whose address is not allowed. */
export function notAllowed(target: Target): MicroError {
  return new MicroError(
    "permission_denied",
    `events may not go to ${nameOf(target)}; allow it with allowAddress if it is meant`,
    { outcome: "not-executed" },
  );
}

/**
 * Checks an address that is an IP address; names are checked when they have been resolved.
 * @throws MicroError `permission_denied`.
 */
export function checkAllowed(target: Target, allow: AllowAddress): void {
  const { host, port } = target;
  if (isIP(host.split("%")[0] ?? "") !== 0 && !allow(host, port)) throw notAllowed(target);
}

function nameOf(target: Target): string {
  return `subscriber ${target.id} at ${formatAddress({ kind: "host", ...target })}`;
}
