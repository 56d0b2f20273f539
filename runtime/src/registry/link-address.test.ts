import { describe, expect, test } from "vitest";
import { allowLinkAddress, isUnspecified } from "./link-address.ts";

const local = { host: "192.0.2.1", local: true };
const remote = { host: "192.0.2.2", local: false };

describe("the address policy of a shared link", () => {
  test.each([
    "192.0.2.2:80",
    "10.1.2.3:8080",
    "203.0.113.9:443",
    "[2001:db8::1]:80",
    "[fd12:3456::1]:80",
  ])("accepts %s from any machine", (address) => {
    expect(allowLinkAddress(address, local)).toBe(true);
    expect(allowLinkAddress(address, remote)).toBe(true);
  });

  test.each([
    "127.0.0.1:6379",
    "127.8.8.8:80",
    "[::1]:80",
    "[::ffff:127.0.0.1]:80",
    "[::ffff:7f00:1]:80",
    "localhost:80",
    "internal.example:80",
    "unix:/run/docker.sock",
    "169.254.1.1:80",
    "[fe80::1]:80",
    "[::127.0.0.1]:22",
    "[::ffff:0:127.0.0.1]:22",
    "[64:ff9b::7f00:1]:22",
    "[2002:7f00:1::1]:22",
    "[2001:0:102:304::80ff:fffe]:22",
    "[2001:db8::5efe:127.0.0.1]:22",
    "[2001:db8::200:5efe:a9fe:101]:22",
  ])("accepts %s from this machine only", (address) => {
    expect(allowLinkAddress(address, local)).toBe(true);
    expect(allowLinkAddress(address, remote)).toBe(false);
  });

  test.each([
    "169.254.169.254:80",
    "[::ffff:169.254.169.254]:80",
    "[::ffff:a9fe:a9fe]:80",
    "169.254.170.2:80",
    "100.100.100.200:80",
    "[fd00:ec2::254]:80",
    "[FD00:EC2:0::254]:80",
    "[fd00:ec2::23]:80",
    "[fd20:ce::254]:80",
    "[fe80::a9fe:a9fe%eth0]:80",
    "168.63.129.16:80",
    "192.0.0.192:80",
    "169.254.170.23:80",
    "[::169.254.169.254]:80",
    "[::ffff:0:a9fe:a9fe]:80",
    "[64:ff9b::a9fe:a9fe]:80",
    "[64:ff9b:1::a83f:8110]:80",
    "[64:ff9b:1:a9fe:a9:fe00::]:80",
    "[2002:a9fe:a9fe::1]:80",
    "[2001:0:a9fe:a9fe::]:80",
    "[2001:0:102:304::5601:5601]:80",
    "[2001:db8::5efe:a9fe:a9fe]:80",
    "0.0.0.0:80",
    "0.1.2.3:80",
    "[::]:80",
    "224.0.0.1:80",
    "255.255.255.255:80",
    "[ff02::1]:80",
    "memory:greeter",
  ])("accepts %s from no machine", (address) => {
    expect(allowLinkAddress(address, local)).toBe(false);
    expect(allowLinkAddress(address, remote)).toBe(false);
  });

  test("accepts a link-local address from its owner", () => {
    const owner = { host: "169.254.7.7", local: false };
    expect(allowLinkAddress("169.254.7.7:80", owner)).toBe(true);
    expect(allowLinkAddress("169.254.7.8:80", owner)).toBe(false);
  });

  test("recognizes every spelling of a wildcard", () => {
    for (const host of ["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0", "::%lo"]) {
      expect(isUnspecified(host), host).toBe(true);
    }
    for (const host of ["0.0.0.1", "::1", "localhost"]) expect(isUnspecified(host)).toBe(false);
  });
});
