import { isIP } from "node:net";
import { AddressRanges } from "../../address-ranges.ts";

/**
 * Whether events may be sent to an IP address that a registry record names. Records are untrusted, and a
 * publisher that posts wherever they say can be used to reach what is only open to it.
 */
export type AllowAddress = (host: string, port: number) => boolean;

const never = new AddressRanges(
  ["0.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["100.100.100.200", 32],
  ["::", 128],
  ["fe80::", 10],
  ["ff00::", 8],
  ["fd00:ec2::254", 128],
);

/** Refuses wildcards, multicast, link-local addresses and those where clouds serve instance metadata. */
export function allowReachable(host: string): boolean {
  const plain = host.split("%")[0] ?? "";
  return isIP(plain) !== 0 && !never.has(plain);
}
