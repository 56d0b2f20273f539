import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { HeaderField } from "./header-field.ts";
import { HeaderTemplate } from "./header-template.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";

const limits = { maxTableBytes: 4096, maxListBytes: 1_000_000, maxFields: 1_000 };

/** Both ends of a connection. */
class Pair {
  readonly encoder = new HpackEncoder();
  readonly decoder = new HpackDecoder(limits);
  /** The last block, in hexadecimal. */
  block = "";

  send(fields: readonly HeaderField[], template?: HeaderTemplate): string[] {
    const length = this.encoder.encode(template, fields);
    const bytes = Uint8Array.from(this.encoder.bytes.subarray(0, length));
    this.block = Buffer.from(bytes).toString("hex");
    return this.decoder
      .decode(bytes, 0, length)
      .fields.map((field) => `${field.name}: ${field.value}${field.isSensitive ? " !" : ""}`);
  }
}

const field = (name: string, value: string) => new HeaderField(name, value);
const fieldsOf = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields).map(([name, value]) => field(name, value));

test("a template is a few constant bytes from its second use on, until the table changes", () => {
  const pair = new Pair();
  const template = new HeaderTemplate(
    fieldsOf({ ":status": "200", "content-type": "application/grpc" }),
  );
  const lines = [":status: 200", "content-type: application/grpc"];
  expect(pair.send([], template)).toEqual(lines);
  expect(pair.send([], template)).toEqual(lines);
  expect(pair.block).toBe("88be");
  expect(pair.send([field("a", "b")], template)).toEqual([...lines, "a: b"]);
  expect(pair.send([], template)).toEqual(lines);
  expect(pair.block).toBe("88bf");
});

test.each(["authorization", "cookie", "set-cookie", "proxy-authorization"])(
  "%s enters no table, and is marked so for intermediaries",
  (name) => {
    const pair = new Pair();
    for (let round = 0; round < 3; round++) {
      expect(pair.send([field(name, "secret")])).toEqual([`${name}: secret !`]);
      expect(pair.block).toMatch(/^1/);
    }
  },
);

test("a credential that is too long to be guessed is sent once", () => {
  const pair = new Pair();
  const token = `Bearer ${"x".repeat(400)}`;
  pair.send([field("authorization", token), field("cookie", token)]);
  pair.send([field("authorization", token)]);
  expect(pair.block).toHaveLength(2);
  expect(pair.send([field("cookie", token)])).toEqual([`cookie: ${token} !`]);
});

test("fields that lists share are sent as they are, whatever changes the table meanwhile", () => {
  const pair = new Pair();
  const token = field("authorization", `Bearer ${"x".repeat(400)}`);
  const tenant = field("x-tenant", "acme");
  const lines = [token, tenant].map(({ name, value }) => `${name}: ${value}`);
  for (let call = 0; call < 3; call++) expect(pair.send([token, tenant])).toEqual(lines);
  expect(pair.block).toHaveLength(4);
  expect(pair.send([tenant, token])).toEqual([...lines].reverse());
  expect(pair.send([field("x-more", "1"), token])).toEqual(["x-more: 1", lines[0]]);
  expect(pair.send([token, tenant])).toEqual(lines);
  // Evicts both.
  pair.send([field("x-large", "v".repeat(4_000))]);
  expect(pair.send([token, tenant])).toEqual(lines);
  pair.encoder.forget();
  expect(pair.send([token, tenant])).toEqual(lines);
  pair.encoder.allowTableBytes(0);
  expect(pair.send([token, tenant])).toEqual(lines);
});

test("a field that is marked as a secret enters no table", () => {
  const pair = new Pair();
  const secret = new HeaderField("x-key", "1", true);
  expect(pair.send([secret, secret])).toEqual(["x-key: 1 !", "x-key: 1 !"]);
});

test("a name whose values keep changing no longer displaces other fields", () => {
  const pair = new Pair();
  const constant = field("user-agent", "x".repeat(60));
  for (let id = 0; id < 1_000; id++) {
    expect(pair.send([field("x-id", `id ${id}`), constant])).toHaveLength(2);
  }
  pair.send([constant]);
  expect(pair.block).toHaveLength(2);
});

test("a block that was not sent leaves the tables in step", () => {
  const pair = new Pair();
  pair.send([field("a", "1"), field("b", "2")]);
  for (const [name, value] of [
    ["c", "x\ny"],
    ["c", "x\0"],
    ["c", "\u010a"],
    ["C", "x"],
    ["", "x"],
    ["c d", "x"],
  ] as const) {
    const fields = [field("d", "4"), field(name, value)];
    expect(() => pair.encoder.encode(undefined, fields)).toThrow(/does not allow/);
    expect(pair.send([field("a", "1"), field("d", "4")])).toEqual(["a: 1", "d: 4"]);
  }
});

describe("the peer's limit of the table", () => {
  test("is respected, and announced at the start of the next block", () => {
    const pair = new Pair();
    pair.send(fieldsOf({ a: "1", b: "2" }));
    pair.encoder.allowTableBytes(0);
    expect(pair.send(fieldsOf({ a: "1" }))).toEqual(["a: 1"]);
    expect(pair.block).toMatch(/^2000/);
    pair.encoder.allowTableBytes(100);
    expect(pair.send(fieldsOf({ a: "1" }))).toEqual(["a: 1"]);
    expect(pair.block).toMatch(/^3f4540/);
    expect(pair.send(fieldsOf({ a: "1" }))).toEqual(["a: 1"]);
    expect(pair.block).toBe("be");
  });

  test("that fell and rose between two blocks is announced with both sizes", () => {
    const pair = new Pair();
    pair.send(fieldsOf({ a: "1" }));
    pair.encoder.allowTableBytes(10);
    pair.encoder.allowTableBytes(1_000_000);
    expect(pair.send(fieldsOf({ a: "1" }))).toEqual(["a: 1"]);
    expect(pair.block).toMatch(/^2a3fe11f/);
  });
});

test("Huffman coding restores every string", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      const coded = new Uint8Array(huffmanLength(text) + 1);
      const end = encodeHuffman(text, coded, 1);
      expect(end).toBe(coded.length);
      const decoded = new Uint8Array(Math.ceil((coded.length * 8) / 5));
      const length = decodeHuffman(coded, 1, end, decoded);
      expect(decoded.subarray(0, length)).toEqual(bytes);
    }),
  );
});

test.each([
  ["any lists of fields", false],
  ["lists whose fields are the same objects", true],
])("%s arrive unchanged, through any changes of the table", (_, sharesFields) => {
  const name = fc.constantFrom("a", "b", "x-long-name", "grpc-timeout", "te", ":path", "accept");
  const value = fc.oneof(
    fc.constantFrom("", "1", "trailers", "/", "v".repeat(3000), "w".repeat(200)),
    fc.stringMatching(/^[!-~]{0,40}$/),
  );
  const list = fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 12 });
  const step = fc.oneof(list, fc.constantFrom(0, 60, 500, 4096));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const pair = new Pair();
      const shared = new Map<string, HeaderField>();
      const fieldOf = (key: string, text: string, secret: boolean) => {
        const name = `${key} ${text} ${secret}`;
        const made =
          (sharesFields ? shared.get(name) : undefined) ?? new HeaderField(key, text, secret);
        shared.set(name, made);
        return made;
      };
      for (const it of steps) {
        if (typeof it === "number") pair.encoder.allowTableBytes(it);
        else {
          expect(pair.send(it.map((entry) => fieldOf(...entry)))).toEqual(
            it.map(([key, text, secret]) => `${key}: ${text}${marked(key, text, secret)}`),
          );
        }
      }
    }),
  );
});

/** A secret that the static table has is not one. */
function marked(name: string, value: string, isSecret: boolean): string {
  return isSecret && !(name === ":path" && value === "/") ? " !" : "";
}
