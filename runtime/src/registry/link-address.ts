import { isIP } from "node:net";
import { parseAddress } from "../address.ts";
import { AddressRanges } from "../address-ranges.ts";

/** Who announced a record. */
export interface RecordSource {
  /** The IP address that its packet came from. */
  readonly host: string;
  /** Whether that is this machine. */
  readonly local: boolean;
}

/**
 * Whether a record from outside may name this address. A registry drops records whose address it refuses,
 * so nothing ever dials it.
 */
export type AllowAddress = (address: string, source: RecordSource) => boolean;

const loopback = new AddressRanges(["127.0.0.0", 8], ["::1", 128]);
const unspecified = new AddressRanges(["0.0.0.0", 32], ["::", 128]);
const linkLocal = new AddressRanges(["169.254.0.0", 16], ["fe80::", 10]);
/** Wildcards, multicast, the reserved class E with broadcast, and where clouds serve instance metadata. */
const never = new AddressRanges(
  ["0.0.0.0", 8],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["169.254.169.254", 32],
  ["169.254.170.2", 32],
  ["100.100.100.200", 32],
  ["::", 128],
  ["ff00::", 8],
  ["fd00:ec2::254", 128],
);

/**
 * The policy for a registry that anybody on the link can write to. An address from another machine must be
 * an IP address that is neither loopback nor link-local, unless it is the announcer's own link-local one.
 * Names and unix sockets are taken from this machine only; wildcards, multicast, cloud metadata services
 * and `memory:` from nobody.
 */
export function allowLinkAddress(address: string, source: RecordSource): boolean {
  const parsed = parseAddress(address);
  if (parsed.kind === "memory" || parsed.kind === "nats") return false;
  if (parsed.kind === "unix") return source.local;
  const host = parsed.host.split("%")[0] ?? "";
  if (isIP(host) === 0) return source.local;
  if (never.has(host)) return false;
  if (source.local) return true;
  return !loopback.has(host) && (!linkLocal.has(host) || host === source.host);
}

/** Whether an IP address means "every address of this machine". */
export function isUnspecified(host: string): boolean {
  return unspecified.has(host);
}
