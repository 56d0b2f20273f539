import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { formatAddress, parseAddress } from "./address.ts";

/**
 * The address at which other machines reach a listener. The configured address wins, with the
 * listener's port if it names none. A listener on all interfaces is reached at the first private
 * IPv4 address of this machine, otherwise at a public one, then an IPv6 address, then loopback
 * (go-micro's address extraction). Any other address is returned as is.
 *
 * @throws MicroError `invalid_argument` when `advertise` is not a valid address.
 */
export function advertisedAddress(
  listening: string,
  advertise: string | undefined,
  interfaces: Interfaces = networkInterfaces(),
): string {
  const own = parseAddress(listening);
  if (advertise !== undefined) return formatAddress(withPort(advertise, own));
  if (own.kind !== "host" || !isWildcard(own.host)) return listening;
  return formatAddress({ ...own, host: reachableHost(interfaces) });
}

type Interfaces = ReturnType<typeof networkInterfaces>;

function withPort(
  advertise: string,
  own: ReturnType<typeof parseAddress>,
): ReturnType<typeof parseAddress> {
  const complete = own.kind !== "host" || /^(?:unix|memory):|:\d+$/.test(advertise);
  return parseAddress(complete ? advertise : `${advertise}:${own.port}`);
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}

function reachableHost(interfaces: Interfaces): string {
  const outside = Object.values(interfaces)
    .flatMap((infos) => infos ?? [])
    .filter((info) => !info.internal);
  const address = (wanted: (info: NetworkInterfaceInfo) => boolean) =>
    outside.find(wanted)?.address;
  return (
    address((info) => info.family === "IPv4" && isPrivate(info.address)) ??
    address((info) => info.family === "IPv4") ??
    // A link-local address is useless without the name of the caller's own interface.
    address((info) => info.family === "IPv6" && !info.address.startsWith("fe80")) ??
    "127.0.0.1"
  );
}

/** RFC 1918 and the shared addresses of RFC 6598, which container networks also use. */
function isPrivate(address: string): boolean {
  const [first = 0, second = 0] = address.split(".").map(Number);
  return (
    first === 10 ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) ||
    (first === 100 && second >= 64 && second < 128)
  );
}
