import { BlockList, isIP } from "node:net";

/**
 * Whether events may be sent to an IP address that a registry record names. Records are untrusted, and a
 * publisher that posts wherever they say can be used to reach what is only open to it.
 */
export type AllowAddress = (host: string, port: number) => boolean;

const never = new BlockList();
never.addSubnet("0.0.0.0", 8);
never.addSubnet("169.254.0.0", 16);
never.addSubnet("224.0.0.0", 4);
never.addSubnet("240.0.0.0", 4);
never.addAddress("100.100.100.200");
never.addAddress("::", "ipv6");
never.addSubnet("fe80::", 10, "ipv6");
never.addSubnet("ff00::", 8, "ipv6");
never.addAddress("fd00:ec2::254", "ipv6");

/** Refuses wildcards, multicast, link-local addresses and those where clouds serve instance metadata. */
export function allowReachable(host: string): boolean {
  const plain = host.split("%")[0] ?? "";
  const version = isIP(plain);
  return version !== 0 && !never.check(plain, version === 6 ? "ipv6" : "ipv4");
}
