import { BlockList } from "node:net";
import { expect, test } from "vitest";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { AddressRanges, type Subnet } from "./address-ranges.ts";

const random = seededRandom(20261130);
const below = (limit: number) => Math.floor(random() * limit);
/** Few values of each group, so that addresses meet ranges. */
const group = () => [0, 1, 0xffff, 0x64, below(65_536)][below(5)] ?? 0;
const ipv4 = () => Array.from({ length: 4 }, () => [0, 127, 255, below(256)][below(4)]).join(".");
const ipv6 = (first = group()) =>
  [first, ...Array.from({ length: 7 }, group)].map((it) => it.toString(16)).join(":");

test("finds the same addresses as Node's BlockList", () => {
  let found = 0;
  for (let round = 0; round < 200; round++) {
    const subnets = Array.from(
      { length: 3 },
      // A list takes IPv4 addresses for a part of short prefixes of zeros.
      (): Subnet => (random() < 0.5 ? [ipv4(), below(33)] : [ipv6(1), 16 + below(113)]),
    );
    const ranges = new AddressRanges(...subnets);
    const list = new BlockList();
    for (const [net, prefix] of subnets) {
      list.addSubnet(net, prefix, net.includes(":") ? "ipv6" : "ipv4");
    }
    for (let index = 0; index < 50; index++) {
      const isIPv4 = random() < 0.5;
      const address = isIPv4 ? ipv4() : ipv6(below(2));
      const expected = list.check(address, isIPv4 ? "ipv4" : "ipv6");
      const written = isIPv4 && random() < 0.3 ? `::ffff:${address}` : address;
      expect(ranges.has(written), `${written} in ${subnets.join(" ")}`).toBe(expected);
      if (expected) found++;
    }
  }
  expect(found).toBeGreaterThan(500);
});

test.each(["", "name.example", "1.2.3", "1.2.3.4.5", "::1::", "[::1]", "127.0.0.1:80", "fe80"])(
  "%j is not an address, and in no range",
  (host) => {
    expect(new AddressRanges(["0.0.0.0", 0], ["::", 0]).has(host)).toBe(false);
  },
);
