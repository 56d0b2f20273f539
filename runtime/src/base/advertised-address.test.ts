import { describe, expect, test } from "vitest";
import { advertisedAddress } from "./advertised-address.ts";

describe("the address at which a listener is reached", () => {
  const one = (address: string, family: "IPv4" | "IPv6" = "IPv4", internal = false) =>
    ({ address, family, internal }) as never;
  const interfaces = {
    lo: [one("127.0.0.1", "IPv4", true)],
    eth0: [one("203.0.113.9"), one("fe80::1", "IPv6"), one("2001:db8::5", "IPv6")],
    eth1: [one("10.1.2.3"), one("192.168.7.8")],
  };
  const table: [string, string, string | undefined, Parameters<typeof advertisedAddress>[2]?][] = [
    ["10.1.2.3:80", "0.0.0.0:80", undefined, interfaces],
    ["10.1.2.3:80", "[::]:80", undefined, interfaces],
    ["203.0.113.9:80", "0.0.0.0:80", undefined, { eth0: interfaces.eth0 }],
    ["[2001:db8::5]:80", "[::]:80", undefined, { eth0: interfaces.eth0.slice(1) }],
    ["127.0.0.1:80", "0.0.0.0:80", undefined, { lo: interfaces.lo }],
    ["127.0.0.1:80", "127.0.0.1:80", undefined, interfaces],
    ["unix:/run/a.sock", "unix:/run/a.sock", undefined, interfaces],
    ["memory:a", "memory:a", undefined, interfaces],
    ["proxy.example:443", "0.0.0.0:80", "proxy.example:443", interfaces],
    ["proxy.example:80", "0.0.0.0:80", "proxy.example", interfaces],
    ["[2001:db8::9]:443", "0.0.0.0:80", "[2001:db8::9]:443", interfaces],
  ];
  for (const [expected, listening, advertise, at] of table) {
    test(`${listening}${advertise === undefined ? "" : ` as ${advertise}`} is ${expected}`, () => {
      expect(advertisedAddress(listening, advertise, at)).toBe(expected);
    });
  }

  test("an invalid address is refused", () => {
    expect(() => advertisedAddress("0.0.0.0:80", "http://a/b")).toThrow(
      /not a valid address|no address/,
    );
  });
});
