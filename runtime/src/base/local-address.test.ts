import { expect, test } from "vitest";
import { isLocalAddress } from "./local-address.ts";

test.each([
  ["127.0.0.1:80", true],
  ["127.9.9.9:80", true],
  ["[::1]:80", true],
  ["[::ffff:127.0.0.1]:80", true],
  ["localhost:80", true],
  ["unix:/run/a.sock", true],
  ["memory:a", true],
  ["0.0.0.0:80", false],
  ["[::]:80", false],
  ["10.0.0.1:80", false],
  ["greeter.example:80", false],
  ["127.0.0.1.example:80", false],
  ["nats:greeter", false],
])("whether %s is reachable only from this machine: %s", (address, local) => {
  expect(isLocalAddress(address)).toBe(local);
});
