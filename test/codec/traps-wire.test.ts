import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, getExtension, setExtension } from "@bufbuild/protobuf";
import type { GenExtension } from "@bufbuild/protobuf/codegenv2";
import { describe, expect, test } from "vitest";
import { expectAsReflected, expectWrittenAsReflected } from "./expectations.ts";
import { testCodecs } from "./generated.ts";
import { hex, toHex } from "./hex.ts";

// What a decoder of protobuf's binary format can get wrong, each under its number in
// docs/codecs.md.

const codecs = await testCodecs();
const all3 = codecs.codec("trap3.All");
const child3 = codecs.codec("trap3.Child");
const all2 = codecs.codec("trap2.All");
const needed = codecs.codec("trap2.Needed");
const all2023 = codecs.codec("trap2023.All");
const empty = codecs.codec("trap3.Empty");

const refused = (codec: typeof all3, digits: string, message?: RegExp) => {
  expect(() => codec.decode(hex(digits))).toThrow(
    expect.objectContaining({ code: "invalid_argument" }),
  );
  if (message !== undefined) expect(() => codec.decode(hex(digits))).toThrow(message);
};

test("an error names a position within the bytes, whatever length a field declares", () => {
  for (const bytes of ["0a", "0aff", "08ff", "0a0561", "f8ffffffff"]) {
    const length = bytes.length / 2;
    try {
      all3.decode(hex(bytes));
    } catch (error) {
      const at = /at byte (\d+):/.exec((error as Error).message)?.[1];
      expect(Number(at)).toBeLessThanOrEqual(length);
      continue;
    }
    throw new Error(`${bytes} was read`);
  }
});

test("an error is the same wherever the message is in a buffer", () => {
  for (const digits of ["fa01019601", "0a0561", "08ff"]) {
    const bytes = hex(digits);
    const buffer = new Uint8Array(bytes.length + 9);
    buffer.set(bytes, 7);
    const messageOf = (decode: () => unknown) => {
      try {
        decode();
      } catch (error) {
        return (error as Error).message;
      }
      throw new Error(`${digits} was read`);
    };
    expect(messageOf(() => all3.decodeFrom(buffer, 7, 7 + bytes.length, false))).toBe(
      messageOf(() => all3.decode(bytes)),
    );
  }
});

describe("unknown fields and wire types", () => {
  test("trap 1: unknown fields are kept unchanged, and written back last, in order", () => {
    const bytes = hex(
      "d03e 9601  da3e 03 616263  dd3e 01020304  d93e 0102030405060708  db3e 0801 dc3e",
    );
    const message = expectAsReflected(empty, bytes);
    expect(message.$unknown?.map(({ no, wireType, data }) => [no, wireType, toHex(data)])).toEqual([
      [1002, 0, "96 01"],
      [1003, 2, "03 61 62 63"],
      [1003, 5, "01 02 03 04"],
      [1003, 1, "01 02 03 04 05 06 07 08"],
      [1003, 3, "08 01 dc 3e"],
    ]);
    expect(child3.encode({ ...message, $typeName: "trap3.Child", number: 1 })).toEqual(
      new Uint8Array([8, 1, ...bytes]),
    );
  });

  test("trap 2: $unknown is absent where there is none, and added to when a message is merged", () => {
    expect("$unknown" in child3.decode(hex("0801"))).toBe(false);
    const merged = expectAsReflected(all3, hex("8a01 03 f80701  8a01 03 f80702")) as {
      child?: object;
    };
    expect(merged.child).toMatchObject({ $unknown: [{ no: 127 }, { no: 127 }] });
  });

  test("trap 3: a known field of another wire type is unknown", () => {
    const message = all3.decode(hex("0a02 6162"));
    expect(message).toMatchObject({ aInt32: 0, $unknown: [{ no: 1, wireType: 2 }] });
    expect(toHex(all3.encode(message))).toBe("0a 02 61 62");
    expect(child3.decode(hex("1001")).$unknown).toMatchObject([{ no: 2, wireType: 0 }]);
  });

  test.each([
    ["field number 0", "00 01"],
    ["wire type 6", "0e"],
    ["wire type 7", "0f"],
    ["a tag above 32 bits", "f8ffffff1f 01"],
    ["a tag of six bytes", "888080808000 01"],
    ["the end of a group that has not begun", "0c"],
  ])("trap 4: %s is refused", (_, digits) => {
    for (const codec of [all3, empty, child3]) refused(codec, digits);
  });

  test("trap 5: a group ends with its own number, and must end", () => {
    refused(empty, "db3e 0801 e43e", /group/);
    refused(empty, "db3e 0801", /group 1003 does not end/);
    refused(all2, "93 01 08 01 9c 01");
    refused(all2, "93 01 08 01", /group 18 does not end/);
    expect(all2.decode(hex("9301 0801 9401")).group).toMatchObject({ a: 1 });
    // The end tag of a group must be in its own message.
    refused(all2, "9301 9201 02 9401");
  });

  test("trap 6: lists are read packed and unpacked, whatever the schema says, and add up", () => {
    const message = expectAsReflected(
      all3,
      hex("fa01 02 0102  f801 03  fa01 01 04  8002 05  8202 02 0607"),
    );
    expect(message).toMatchObject({ listInt32: [1, 2, 3, 4], listUnpacked: [5, 6, 7] });
    expectAsReflected(all2023, hex("2a 02 0102  28 03  30 04  32 01 05  5200"));
  });
});

describe("ends", () => {
  test("trap 7: the last element of a packed list must not run over its end", () => {
    refused(all3, "fa01 01 9601", /a value ends 1 bytes after its message/);
    refused(all3, "8a02 01 80 01");
  });

  test("trap 8: a packed list of fixed width has no part of an element", () => {
    refused(all3, "9202 05 0100000002");
    refused(all3, "9a02 07 01000000000000");
  });

  test("trap 9: a nested message ends where its length says, and does not read its siblings", () => {
    refused(all3, "9201 02 1203 0801 0801");
    refused(all3, "9201 02 08ff 0108 05");
    refused(all3, "8a01 01 08 01 08 01");
  });

  test("trap 10: a length beyond the end of the parent is refused before anything is read", () => {
    refused(all3, "8a01 04 2a03 0801 8801 01", /length of 3 where 2 bytes are left/);
    refused(all3, "8a01 7f 0801", /length of 127/);
    refused(all3, "7a ffffffff07 00", /length/);
    refused(all3, "7a ffffffff0f 00", /too large/);
  });

  test("trap 11: input that is truncated anywhere is refused, and never read as a value", () => {
    const whole = all3.encode({
      aInt32: 300,
      aInt64: -1n,
      aDouble: 1.5,
      aFloat: 2.5,
      aString: "text of some length",
      aBytes: new Uint8Array(20),
      child: { number: 1000, text: "x", list: [1, 2, 300] },
      listDouble: [1, 2],
      mapChild: { key: { text: "value" } },
    });
    const complete = new Set<number>();
    // A cut between two fields leaves a message.
    for (let end = 0; end <= whole.length; end++) {
      try {
        const message = all3.decode(whole.subarray(0, end));
        expect(toHex(all3.encode(message))).toBe(toHex(whole.subarray(0, end)));
        complete.add(end);
      } catch (error) {
        expect(error).toMatchObject({ code: "invalid_argument" });
      }
    }
    expect(complete.size).toBe(10);
  });
});

describe("varints", () => {
  test("trap 12: up to ten bytes, of which 32-bit types keep the low 32 bits", () => {
    expect(all3.decode(hex("08 ffffffffffffffffff01")).aInt32).toBe(-1);
    expect(all3.decode(hex("18 81808080f0ffffffff01")).aUint32).toBe(1);
    expect(all3.decode(hex("8001 81808080f0ffffffff01")).open).toBe(1);
    expect(all3.decode(hex("08 8180808000")).aInt32).toBe(1);
    refused(all3, "08 ffffffffffffffffffff01", /over ten bytes/);
    refused(all3, "10 ffffffffffffffffffff01", /over ten bytes/);
    refused(empty, "08 ffffffffffffffffffff01", /over ten bytes/);
    expect(toHex(all3.encode({ aInt32: -2 }))).toBe("08 fe ff ff ff ff ff ff ff ff 01");
    expect(toHex(all3.encode({ open: -1 }))).toBe("80 01 ff ff ff ff ff ff ff ff ff 01");
  });

  test("trap 13: a bool is true for any bit of 64, and false for a long zero", () => {
    expect(all3.decode(hex("68 80808080808080808001")).aBool).toBe(true);
    expect(all3.decode(hex("68 8080808001")).aBool).toBe(true);
    expect(all3.decode(hex("68 808000")).aBool).toBe(false);
    expect(all3.decode(hex("a202 05 00 01 808000")).listBool).toEqual([false, true, false]);
  });

  test("trap 14: zigzag on words that were cut to 32 bits, and on 64", () => {
    expect(all3.decode(hex("28 ffffffff0f")).aSint32).toBe(-2147483648);
    expect(all3.decode(hex("28 ffffffffffffffffff01")).aSint32).toBe(-2147483648);
    expect(all3.decode(hex("30 ffffffffffffffffff01")).aSint64).toBe(-(2n ** 63n));
    for (const aSint64 of [1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 123456789012345n]) {
      expectWrittenAsReflected(all3, { aSint64, aInt64: aSint64 });
    }
    for (const aSint32 of [1, -1, 2147483647, -2147483648])
      expectWrittenAsReflected(all3, { aSint32 });
  });
});

describe("merging", () => {
  test("trap 15: the last value of a scalar wins, also when it is the default", () => {
    expect(all3.decode(hex("0805 0800")).aInt32).toBe(0);
    expect(all3.decode(hex("7201 61 7200")).aString).toBe("");
  });

  test("trap 16: a message that comes twice is merged: scalars replace, lists append, maps add", () => {
    const first = { number: 1, text: "a", list: [1], map: { a: 1, b: 2 }, child: { number: 5 } };
    const second = { number: 2, list: [2], map: { b: 3 }, child: { text: "c" } };
    const bytes = Buffer.concat([all3.encode({ child: first }), all3.encode({ child: second })]);
    const message = expectAsReflected(all3, new Uint8Array(bytes));
    expect(message).toMatchObject({
      child: {
        number: 2,
        text: "a",
        list: [1, 2],
        map: { a: 1, b: 3 },
        child: { number: 5, text: "c" },
      },
    });
  });

  test("trap 17: of a oneof the last case wins; the same message case twice is merged", () => {
    const part = (choice: object) => all3.encode({ choice });
    const number = part({ case: "choiceChild", value: { number: 1 } });
    const text = part({ case: "choiceChild", value: { text: "x" } });
    const other = part({ case: "choiceInt32", value: 0 });
    const decode = (...parts: Uint8Array[]) =>
      expectAsReflected(all3, new Uint8Array(Buffer.concat(parts)));
    expect(decode(number, text)).toMatchObject({ choice: { value: { number: 1, text: "x" } } });
    expect(decode(number, other, text)).toMatchObject({
      choice: { value: { number: 0, text: "x" } },
    });
    expect(decode(number, other)).toMatchObject({ choice: { case: "choiceInt32", value: 0 } });
  });
});

describe("maps", () => {
  test("trap 18: entries may lack parts, repeat them, have others, and come in any order", () => {
    const cases = [
      "9a03 00",
      "9a03 03 0a0161",
      "9a03 03 120162",
      "9a03 06 120162 0a0161",
      "9a03 08 0a0161 1801 120162",
      "9a03 09 0a0161 0a0163 120162",
      "9a03 06 0a0161 120162  9a03 06 0a0161 120163",
      "c203 0c 0a0161 1202 0801 1203 120178",
      "c203 03 0a0161",
      "a203 02 0807  a203 02 1007",
    ];
    for (const digits of cases) expectAsReflected(all3, hex(digits));
    const merged = all3.decode(hex("c203 0c 0a0161 1202 0801 1203 120178"));
    expect(merged.mapChild).toMatchObject({ a: { number: 1, text: "x" } });
    refused(all3, "9a03 03 0a0261", /length/);
  });

  test("trap 19: __proto__ is a key like any other", () => {
    const mapString = JSON.parse('{"__proto__":"x","constructor":"y","toString":"z"}');
    const bytes = expectWrittenAsReflected(all3, { mapString });
    const { mapString: read } = all3.decode(bytes);
    expect(Object.keys(read)).toEqual(["__proto__", "constructor", "toString"]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });

  test("trap 20: keys are strings in the object, and of their type on the wire", () => {
    expectWrittenAsReflected(all3, {
      mapInt32: { "-5": 1, 7: 2, 2147483647: 3 },
      mapBool: { true: false, false: true },
      mapUint64: { "18446744073709551615": 1.5, 0: 2 },
    });
    for (const bad of [
      { mapInt32: { x: 1 } },
      { mapInt32: { "1.5": 1 } },
      { mapInt32: { "01": 1 } },
    ]) {
      expect(() => all3.encode(bad)).toThrow(/trap3\.All\.mapInt32.*integer/);
    }
    expect(() => all3.encode({ mapBool: { yes: true } })).toThrow(/mapBool.*booleans as keys/);
    expect(() => all3.encode({ mapUint64: { "-1": 1 } })).toThrow(/mapUint64/);
    expect(() => all3.encode({ mapUint64: { x: 1 } })).toThrow(/mapUint64.*integers as keys/);
  });

  test("trap 21: the default value of an entry is a fresh one", () => {
    const { mapBytes, mapChild } = all3.decode(
      hex("ba03 03 0a0161 ba03 03 0a0162 c203 03 0a0161 c203 03 0a0162"),
    );
    expect(mapBytes.a).toEqual(new Uint8Array(0));
    expect(mapBytes.a).not.toBe(mapBytes.b);
    expect(mapChild.a).not.toBe(mapChild.b);
  });
});

describe("enums", () => {
  test("trap 22: a value that a closed enum does not have is an unknown field, wherever it comes", () => {
    const unknown = (digits: string) => {
      const message = all2.decode(hex(digits));
      expect(message).toMatchObject({ closed: 2, closedList: [], closedPacked: [], closedMap: {} });
      expect(message.choice).toEqual({ case: undefined });
      return message.$unknown.map(({ no, data }: { no: number; data: Uint8Array }) => [
        no,
        toHex(data),
      ]);
    };
    expect(unknown("50 63")).toEqual([[10, "63"]]);
    expect(unknown("60 63")).toEqual([[12, "63"]]);
    expect(unknown("6a 02 6364")).toEqual([
      [13, "63"],
      [13, "64"],
    ]);
    expect(unknown("78 63")).toEqual([[15, "63"]]);
    expect(unknown("72 05 0a0161 1063")).toEqual([[14, "05 0a 01 61 10 63"]]);
    expect(all2.decode(hex("6a 03 016302"))).toMatchObject({ closedPacked: [1, 2] });
    expect(all2023.decode(hex("58 01"))).toMatchObject({ closed: 5, $unknown: [{ no: 11 }] });
  });

  test("trap 23: an unknown negative value of a closed enum is kept in ten bytes", () => {
    const message = all2.decode(hex("50 fdffffffffffffffff01"));
    expect(toHex(message.$unknown[0].data)).toBe("fd ff ff ff ff ff ff ff ff 01");
    expect(all2.decode(hex("50 ffffffffffffffffff01")).closed).toBe(-1);
    expect(toHex(all2.decode(hex("50 e307")).$unknown[0].data)).toBe("e3 07");
  });

  test("trap 24: open enums keep any number", () => {
    expectAsReflected(all3, hex("8001 63  c202 02 6364  b804 63  ca03 05 0a0161 1063"));
    expect(all3.decode(hex("8001 63")).open).toBe(99);
  });
});

describe("structure", () => {
  test("trap 38: messages may be nested a hundred deep, groups and map values included, and no deeper", () => {
    const nest = (levels: number, tag: string) => {
      let bytes = new Uint8Array(0);
      for (let i = 0; i < levels; i++) {
        const length =
          bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
        bytes = new Uint8Array([...hex(tag), ...length, ...bytes]);
      }
      return bytes;
    };
    expect(all3.decode(nest(99, "9201"))).toBeDefined();
    expect(() => all3.decode(nest(100, "9201"))).toThrow(/nested too deeply/);
    const groups = (levels: number, start: string, end: string) =>
      hex(start.repeat(levels) + end.repeat(levels));
    expect(all2.decode(groups(99, "9301", "9401"))).toBeDefined();
    expect(() => all2.decode(groups(100, "9301", "9401"))).toThrow(/nested too deeply/);
    expect(empty.decode(groups(99, "db3e", "dc3e"))).toBeDefined();
    expect(() => empty.decode(groups(100, "db3e", "dc3e"))).toThrow(/nested too deeply/);
    expect(() => all3.decode(nest(200, "9201"))).toThrow(/nested too deeply/);
  });

  test("trap 39: extensions stay in $unknown as protobuf-es reads and writes them", () => {
    const pb = codecs.pb("trap2") as Record<string, GenExtension>;
    const message = create(all2.schema) as never;
    setExtension(message, pb.name!, "extended");
    setExtension(message, pb.numbers!, [1, 300]);
    const bytes = all2.encode(message);
    const read = all2.decode(bytes);
    expect(getExtension(read, pb.name!)).toBe("extended");
    expect(getExtension(read, pb.numbers!)).toEqual([1, 300]);
    expectAsReflected(all2, bytes);
  });

  test("trap 40: message sets and extension ranges are unknown fields like others", () => {
    expectAsReflected(codecs.codec("trap2.Set"), hex("0b 1064 1a03 616263 0c"));
    expectAsReflected(all2, hex("a206 01 61"));
  });

  test("trap 41: delimited encoding, in groups, in itself, in lists, and inside oneofs", () => {
    expectWrittenAsReflected(all2, {
      group: { a: 1, inner: { a: 2, inner: {} } },
      groups: [{ b: "x" }, {}],
      choice: { case: "choicegroup", value: { a: 3 } },
    });
    expectWrittenAsReflected(all2023, {
      delimited: { number: 1, child: { child: {} } },
      delimitedList: [{ number: 2 }, {}],
      prefixed: { number: 3, child: { number: 4 } },
      required: {},
      map: { a: { child: { number: 5 } } },
      self: { required: {}, self: { required: {} } },
    });
    // A group that comes twice is merged, and one in the other encoding is unknown.
    expect(all2.decode(hex("9301 0801 9401 9301 1200 9401")).group).toMatchObject({
      a: 1,
      inner: {},
    });
    expect(all2.decode(hex("9201 02 0801")).$unknown).toMatchObject([{ no: 18, wireType: 2 }]);
  });

  test("trap 30: required fields are checked on write, in nested messages too, and not on read", () => {
    expect(needed.decode(hex(""))).toBeDefined();
    expect(() => needed.encode({})).toThrow(/trap2\.Needed\.must: .*required/);
    expect(() => needed.encode({ must: 1 })).toThrow(/trap2\.Needed\.also: .*required/);
    expect(() => all2.encode({ needed: { must: 1 } })).toThrow(/trap2\.All\.needed\.also/);
    expect(() => all2023.encode({})).toThrow(/required/);
    expectWrittenAsReflected(all2, { needed: { must: 0, also: {} } });
  });

  test("every trap of the list has a test with its name", () => {
    const sources = ["traps-wire.test.ts", "traps-value.test.ts"].map((name) =>
      readFileSync(join(import.meta.dirname, name), "utf8"),
    );
    const tested = new Set(
      sources.flatMap((text) => [...text.matchAll(/"trap (\d+): /g)].map(([, n]) => Number(n))),
    );
    expect([...tested].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });
});
