import { isIPv4, isIPv6 } from "node:net";

/** An IP address and the length of its prefix in bits. */
export type Subnet = readonly [net: string, prefix: number];

interface Range {
  readonly bytes: Uint8Array;
  readonly prefix: number;
}

/**
 * Ranges of IP addresses, built on first use. Node's `BlockList` does the same; building one takes
 * a program that has just started more time than to listen.
 */
export class AddressRanges {
  readonly #subnets: readonly Subnet[];
  /** By the length of their addresses in bytes. */
  readonly #ranges = new Map<number, readonly Range[]>();

  constructor(...subnets: readonly Subnet[]) {
    this.#subnets = subnets;
  }

  /**
   * Whether an IP address, with or without a zone, is in one of the ranges; false if `host` is not
   * an IP address. An IPv4 address in IPv6 form (`::ffff:127.0.0.1`) is in the ranges of the IPv4
   * address.
   */
  has(host: string): boolean {
    const bytes = addressBytes(host);
    if (bytes === undefined) return false;
    return this.#rangesOf(bytes.length).some((range) => isIn(bytes, range));
  }

  /**
   * As {@link has}, but also true if an IPv6 address embeds an IPv4 address in one of the ranges.
   */
  reaches(host: string): boolean {
    return this.has(host) || embeddedIPv4(host).some((address) => this.has(address));
  }

  #rangesOf(length: number): readonly Range[] {
    let ranges = this.#ranges.get(length);
    if (ranges === undefined) {
      ranges = this.#subnets
        .filter(([net]) => net.includes(":") === (length === 16))
        .map(([net, prefix]) => ({ bytes: addressBytes(net)!, prefix }));
      this.#ranges.set(length, ranges);
    }
    return ranges;
  }
}

/**
 * The IPv4 addresses that an IPv6 address leads to by translation or a tunnel: IPv4-compatible and
 * translated addresses (RFC 4291, RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380)
 * and ISATAP (RFC 5214). A network may use NAT64 under a prefix of its own, which cannot be
 * recognized from an address.
 */
function embeddedIPv4(host: string): readonly string[] {
  const bytes = addressBytes(host);
  if (bytes?.length !== 16) return [];
  const at = (...positions: readonly number[]) =>
    positions.map((position) => bytes[position]).join(".");
  const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = groupsOf(bytes);
  const last = at(12, 13, 14, 15);
  const found: string[] = [];
  if (first === 0 && second === 0 && third === 0 && fourth === 0) {
    const isCompatible = fifth === 0 && sixth === 0 && !/^0\.0\.0\.[01]$/.test(last);
    if (isCompatible || (fifth === 0xffff && sixth === 0)) found.push(last);
  }
  if (first === 0x64 && second === 0xff9b) found.push(last);
  if (first === 0x2002) found.push(at(2, 3, 4, 5));
  if (first === 0x2001 && second === 0) {
    found.push(at(4, 5, 6, 7), [...bytes.subarray(12)].map((byte) => byte ^ 0xff).join("."));
  }
  if ((fifth & 0xfdff) === 0 && sixth === 0x5efe) found.push(last);
  return found;
}

/**
 * The bytes of an IP address, those of IPv4 for one in IPv6 form; undefined for other text. Node
 * takes long to compile its pattern for IPv6.
 */
function addressBytes(host: string): Uint8Array | undefined {
  const plain = host.split("%")[0] ?? "";
  if (isIPv4(plain)) return Uint8Array.from(plain.split("."), Number);
  if (!plain.includes(":") || !isIPv6(plain)) return undefined;
  const bytes = ipv6Bytes(plain);
  const isMapped = groupsOf(bytes).every((group, at) => at > 5 || group === (at < 5 ? 0 : 0xffff));
  return isMapped ? bytes.subarray(12) : bytes;
}

function isIn(address: Uint8Array, { bytes, prefix }: Range): boolean {
  const whole = prefix >> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== bytes[at]) return false;
  const rest = 8 - (prefix & 7);
  return rest === 8 || (address[whole] ?? 0) >> rest === (bytes[whole] ?? 0) >> rest;
}

function ipv6Bytes(address: string): Uint8Array {
  // In a URL an address has its shortest form, without a dotted tail.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string | undefined) =>
    text === undefined || text === "" ? [] : text.split(":").map((group) => Number(`0x${group}`));
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Uint8Array.from(
    [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]),
  );
}

function groupsOf(bytes: Uint8Array): readonly number[] {
  return Array.from(
    { length: 8 },
    (_, at) => ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0),
  );
}
