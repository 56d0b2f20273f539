import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Metadata, maxMetadataBytes, maxMetadataEntries } from "./metadata.ts";

describe("Metadata", () => {
  test("keys do not depend on case and keep several values in order", () => {
    const metadata = new Metadata({ "X-Tenant": "acme" }).append("x-tenant", "second");
    expect(metadata.get("X-TENANT")).toBe("acme");
    expect(metadata.getAll("x-tenant")).toEqual(["acme", "second"]);
    expect(metadata.set("x-tenant", "only").getAll("x-tenant")).toEqual(["only"]);
    expect(metadata.delete("X-Tenant")).toBe(true);
    expect(metadata.isEmpty).toBe(true);
  });

  test("encoded entries decode to the same entries", () => {
    const metadata = new Metadata([
      ["traceparent", "00-ab-cd-01"],
      ["a", ""],
      ["a", "2"],
      ["raw-bin", new Uint8Array([0, 255, 10])],
    ]);
    const decoded = Metadata.decode(metadata.encode());
    expect([...decoded]).toEqual([...metadata]);
    expect(decoded.getBinary("raw-bin")).toEqual(new Uint8Array([0, 255, 10]));
  });

  test("credentials are not shown", () => {
    const secrets = {
      Authorization: "Bearer secret",
      cookie: "id=secret",
      "x-api-token": "secret",
    };
    const metadata = new Metadata({ ...secrets, tenant: "acme" });
    const decoded = Metadata.decode(metadata.encode());
    for (const shown of [inspect({ decoded }), JSON.stringify({ metadata }), metadata.toObject()]) {
      expect(JSON.stringify(shown)).not.toContain("secret");
      expect(JSON.stringify(shown)).toContain("acme");
    }
    expect(inspect(Metadata.decode(new Uint8Array(3)))).toBe("Metadata (malformed)");
    expect(metadata.get("authorization")).toBe("Bearer secret");
  });

  test("values of one key are adjacent, whatever was added between them", () => {
    const metadata = new Metadata([
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ]);
    const expected = [
      ["a", "1"],
      ["a", "3"],
      ["b", "2"],
    ];
    expect([...metadata]).toEqual(expected);
    const scattered = Buffer.concat(
      (["a1", "b2", "a3"] as const).map((text) =>
        new Metadata({ [text.charAt(0)]: text.charAt(1) }).encode(),
      ),
    );
    const decoded = Metadata.decode(scattered);
    expect([...decoded]).toEqual(expected);
    expect([...new Metadata(decoded).set("a", "4")]).toEqual([
      ["a", "4"],
      ["b", "2"],
    ]);
    expect([...decoded]).toEqual(expected);
    expect([...new Metadata({ c: "0", a: "0" }).assign(decoded)]).toEqual([
      ["c", "0"],
      ["a", "1"],
      ["a", "3"],
      ["b", "2"],
    ]);
  });

  test("accepts no more entries than the decoder allows", () => {
    const full = new Metadata(
      Array.from({ length: maxMetadataEntries }, (_, index) => [`k${index}`, "v"] as const),
    );
    const refused = expect.objectContaining({ code: "resource_exhausted" });
    expect(() => full.append("k0", "again")).toThrow(refused);
    expect(() => full.set("another", "v")).toThrow(refused);
    expect(() => new Metadata(full).assign({ another: "v" })).toThrow(refused);
    expect(full.set("k0", "changed").get("k0")).toBe("changed");
    expect([...Metadata.decode(full.encode())]).toEqual([...full]);
  });

  test("similar keys are distinguished, every time", () => {
    for (let round = 0; round < 3; round++) {
      for (let number = 0; number < 600; number++) {
        const key = `x-key-${number}`;
        expect(Metadata.decode(new Metadata({ [key]: key }).encode()).get(key)).toBe(key);
      }
    }
  });

  test("is encoded once until it changes", () => {
    const metadata = new Metadata({ a: "1" });
    const first = metadata.encode();
    expect(metadata.encode()).toBe(first);
    metadata.set("b", "2");
    expect([...Metadata.decode(metadata.encode())]).toEqual([
      ["a", "1"],
      ["b", "2"],
    ]);
  });

  test("a copy changes nothing in the original", () => {
    const original = new Metadata({ a: "1" });
    new Metadata(original).append("a", "2").set("b", "3");
    expect([...original]).toEqual([["a", "1"]]);
  });

  test("`__proto__` is an entry like any other", () => {
    const metadata = new Metadata([["__proto__", "x"]]);
    expect(Metadata.decode(metadata.encode()).get("__proto__")).toBe("x");
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test.each([
    ["a line break in a value", "a", "b\r\nc: d"],
    ["a NUL in a value", "a", "\0"],
    ["text outside ASCII", "a", "é"],
    ["a blank in a key", "a b", "c"],
    ["an empty key", "", "c"],
    ["a line break in a key", "a\n", "c"],
    ["bytes under a text key", "a", new Uint8Array(1)],
    ["text under a binary key", "a-bin", "c"],
  ])("refuses %s", (_what, key, value) => {
    expect(() => new Metadata([[key, value]])).toThrow(
      expect.objectContaining({ code: "invalid_argument", outcome: "not-executed" }),
    );
  });

  test("refuses to grow over its limit, on the way out and in", () => {
    const metadata = new Metadata({ a: "x".repeat(maxMetadataBytes) });
    expect(() => metadata.encode()).toThrow(
      expect.objectContaining({ code: "resource_exhausted" }),
    );
    expect(() => Metadata.decode(new Uint8Array(maxMetadataBytes + 1))).toThrow(
      expect.objectContaining({ code: "resource_exhausted" }),
    );
  });

  test("malformed bytes fail when they are read, with a typed error", () => {
    const good = new Metadata({ key: "value" }).encode();
    for (let length = 1; length < good.length; length++) {
      const cut = Metadata.decode(good.subarray(0, length));
      expect(() => cut.get("key")).toThrow(expect.objectContaining({ code: "invalid_argument" }));
    }
    const flooded = Metadata.decode(Buffer.concat(Array.from({ length: 200 }, () => good)));
    expect(() => flooded.get("key")).toThrow(
      expect.objectContaining({ code: "resource_exhausted" }),
    );
  });
});
