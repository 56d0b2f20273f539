import { isIP } from "node:net";
import { AddressRanges } from "../../base/address-ranges.ts";
import { isUndialable } from "../../base/dialable-address.ts";

/**
 * Whether events may be sent to an IP address named in a registry record. Records are untrusted: a
 * publisher that posts wherever they point could be used to reach addresses that only it can reach.
 */
export type AllowAddress = (host: string, port: number) => boolean;

const linkLocal = new AddressRanges(["169.254.0.0", 16], ["fe80::", 10]);

/** Rejects wildcard, multicast and link-local addresses, and those of cloud metadata services. */
export function allowReachable(host: string): boolean {
  const plain = host.split("%")[0] ?? "";
  return isIP(plain) !== 0 && !isUndialable(plain) && !linkLocal.reaches(plain);
}
