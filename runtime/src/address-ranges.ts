import { BlockList, isIP } from "node:net";

/** An IP address and how many of its first bits count. */
export type Subnet = readonly [net: string, prefix: number];

/** Ranges of IP addresses, put together when they are first asked for. */
export class AddressRanges {
  readonly #subnets: readonly Subnet[];
  #list: BlockList | undefined;

  constructor(...subnets: readonly Subnet[]) {
    this.#subnets = subnets;
  }

  /**
   * Whether an IP address, with or without a zone, is in one of the ranges; false for what is no IP address. An IPv4
   * address in IPv6 form (`::ffff:127.0.0.1`) is in the ranges of the IPv4 address.
   */
  has(host: string): boolean {
    const plain = host.split("%")[0] ?? "";
    const version = isIP(plain);
    if (version === 0) return false;
    this.#list ??= blockList(this.#subnets);
    return this.#list.check(plain, version === 6 ? "ipv6" : "ipv4");
  }
}

function blockList(subnets: readonly Subnet[]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of subnets) {
    list.addSubnet(net, prefix, net.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}
