import { isIP } from "node:net";
import { parseAddress } from "./address.ts";
import { AddressRanges } from "./address-ranges.ts";

const loopback = new AddressRanges(["127.0.0.0", 8], ["::1", 128]);

/**
 * Whether an address is reachable only from this machine: a loopback address, `localhost`, a unix
 * socket, `memory:`.
 */
export function isLocalAddress(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed.kind !== "host") return parsed.kind !== "backend";
  return isIP(parsed.host) === 0
    ? /^(?:.+\.)?localhost$/i.test(parsed.host)
    : loopback.has(parsed.host);
}
