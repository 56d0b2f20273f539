import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "./address.ts";

describe("addresses", () => {
  test.each([
    ["127.0.0.1:80", { kind: "host", host: "127.0.0.1", port: 80 }],
    ["localhost:0", { kind: "host", host: "localhost", port: 0 }],
    ["my_host-1.example.:65535", { kind: "host", host: "my_host-1.example.", port: 65_535 }],
    ["[::1]:80", { kind: "host", host: "::1", port: 80 }],
    ["[fe80::1%eth0]:80", { kind: "host", host: "fe80::1%eth0", port: 80 }],
    ["unix:/run/a b.sock", { kind: "unix", path: "/run/a b.sock" }],
    ["memory:greeter-1", { kind: "memory", name: "greeter-1" }],
    ["nats:orders.v1", { kind: "backend", scheme: "nats", name: "orders.v1" }],
    ["nats:1.a", { kind: "backend", scheme: "nats", name: "1.a" }],
    ["nats:4222", { kind: "host", host: "nats", port: 4_222 }],
  ])("parse %s and format it back", (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(parseAddress(text))).toBe(text);
  });

  test.each([
    "",
    ":80",
    "host",
    "host:",
    "http://a:1",
    "u@h:1",
    "1.2.3:4",
    "nats:a..b",
    "nats:a:b",
    "nats:a b",
    "nats:a*",
    "nats:123456",
    "10.0.0.1:http",
    "a.example:http",
    "0x1:2",
    "a:1\n",
    "::1:80",
  ])("are not %j", (text) => {
    expect(() => parseAddress(text)).toThrow(/is not a valid address/);
  });
});
