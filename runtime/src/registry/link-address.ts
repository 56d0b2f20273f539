import { isIP } from "node:net";
import { parseAddress } from "../base/address.ts";
import { AddressRanges } from "../base/address-ranges.ts";
import { isUndialable } from "../base/dialable-address.ts";

/** The announcer of a record. */
export interface RecordSource {
  /** The source IP address of the packet. */
  readonly host: string;
  /** Whether it is this machine. */
  readonly local: boolean;
}

/**
 * Whether a record from outside may contain this address. A registry drops records with a rejected
 * address, so it is never dialled.
 */
export type AllowAddress = (address: string, source: RecordSource) => boolean;

const loopback = new AddressRanges(["127.0.0.0", 8], ["::1", 128]);
const unspecified = new AddressRanges(["0.0.0.0", 32], ["::", 128]);
const linkLocal = new AddressRanges(["169.254.0.0", 16], ["fe80::", 10]);

/**
 * The policy for a registry that any machine on the link can write to. An address from another
 * machine must be an IP address that is neither loopback nor link-local, unless it is the
 * announcer's own link-local one. Names and unix sockets are accepted from this machine only;
 * wildcards, multicast, cloud metadata services, `memory:` and names on a backend are never
 * accepted. An IPv6 address that maps to an IPv4 address is checked as both.
 */
export function allowLinkAddress(address: string, source: RecordSource): boolean {
  const parsed = parseAddress(address);
  if (parsed.kind === "memory" || parsed.kind === "backend") return false;
  if (parsed.kind === "unix") return source.local;
  const host = parsed.host.split("%")[0] ?? "";
  if (isIP(host) === 0) return source.local;
  if (isUndialable(host)) return false;
  if (source.local) return true;
  return !loopback.reaches(host) && (!linkLocal.reaches(host) || host === source.host);
}

/** Whether an IP address means "every address of this machine". */
export function isUnspecified(host: string): boolean {
  return unspecified.has(host);
}
