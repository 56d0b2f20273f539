import type { LookupAddress } from "node:dns";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { goMicroTransport } from "../go-micro/transport.ts";
import { validateNode } from "../registry/validate.ts";
import { httpTransport } from "../transport/http/transport.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import { isUndialable, lookupAllowed } from "./dialable-address.ts";
import { MicroError } from "./error.ts";

type Lookup = (error: Error | null, found: LookupAddress[]) => void;

vi.mock("node:dns", async (load) => {
  const dns = await load<typeof import("node:dns")>();
  const lookup = (name: string, options: object, callback: Lookup) => {
    if (name === "metadata.test") callback(null, [{ address: "169.254.169.254", family: 4 }]);
    else dns.lookup(name, { ...options, all: true }, callback);
  };
  return { ...dns, lookup };
});

const metadata = ["169.254.169.254", "168.63.129.16", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]"];

describe("addresses that are never dialled", () => {
  test.each([
    "224.0.0.1",
    "::ffff:100.100.100.200",
    "64:ff9b::192.0.0.192",
    "::168.63.129.16",
    "fd20:ce::1",
  ])("include %s", (host) => {
    expect(isUndialable(host)).toBe(true);
  });

  test.each([
    "10.0.0.1",
    "169.254.7.7",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "fd00::1",
    "localhost",
  ])("do not include %s", (host) => {
    expect(isUndialable(host)).toBe(false);
  });

  test.each(metadata)("no registry accepts a record with %s", (host) => {
    const address = `${host}:80`;
    const node = { id: "a", service: "s", version: "1", address, metadata: {}, endpoints: [] };
    expect(() => validateNode(node)).toThrow(/metadata service/);
  });

  test.each([
    tcpTransport(),
    httpTransport(),
    httpTransport({ httpVersion: "1.1" }),
    goMicroTransport(),
  ])("$name dials neither them nor names that resolve to them", async (transport) => {
    for (const host of [...metadata, "metadata.test"]) {
      await expect(transport.dial(`${host}:1`), host).rejects.toThrow(/metadata and credentials/);
    }
  });

  test("a name is refused if it resolves to one of them", async () => {
    const refusal = (name: string) => new MicroError("permission_denied", `not ${name}`);
    const lookup = promisify(lookupAllowed((address) => !/^(127\.|::1)/.test(address), refusal));
    await expect(lookup("localhost", {})).rejects.toMatchObject({ message: "not localhost" });
    const free = promisify(lookupAllowed(() => true, refusal));
    await expect(free("localhost", {})).resolves.toMatch(/^(127\.|::1)/);
  });
});
