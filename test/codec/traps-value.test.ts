import { create, isMessage, toBinary, toJson } from "@bufbuild/protobuf";
import { reflectCodec } from "@micro-es/runtime/codegenv1/reflect";
import { describe, expect, test } from "vitest";
import { expectAsReflected, expectWrittenAsReflected } from "./expectations.ts";
import { testCodecs } from "./generated.ts";
import { hex, toHex } from "./hex.ts";

// What a codec can get wrong about values and objects, each under its number in docs/codecs.md.

const codecs = await testCodecs();
const all3 = codecs.codec("trap3.All");
const child3 = codecs.codec("trap3.Child");
const all2 = codecs.codec("trap2.All");
const all2023 = codecs.codec("trap2023.All");

describe("presence and defaults", () => {
  test("trap 25: without presence, the default is not written; -0 is not the default", () => {
    const defaults = {
      aInt32: 0,
      aInt64: 0n,
      aUint64: 0n,
      aFloat: 0,
      aDouble: 0,
      aBool: false,
      aString: "",
      aBytes: new Uint8Array(0),
      open: 0,
    };
    expect(expectWrittenAsReflected(all3, defaults)).toHaveLength(0);
    expect(toHex(expectWrittenAsReflected(all3, { aDouble: -0 }))).toBe(
      "61 00 00 00 00 00 00 00 80",
    );
    expect(toHex(expectWrittenAsReflected(all3, { aFloat: -0 }))).toBe("5d 00 00 00 80");
    expectWrittenAsReflected(all3, { aDouble: Number.NaN, aFloat: Number.POSITIVE_INFINITY });
  });

  test("trap 26: the default of an enum is its first value", () => {
    expect(all2023.create().closed).toBe(5);
    expect(all2023.decode(hex("")).opened).toBe(0);
    expect(toHex(all2023.encode({ required: {}, opened: 0, implicit: 0 }))).toBe("52 00");
    expect(toHex(all2.encode({ closed: 1 }))).toBe("50 01");
  });

  test("trap 27: proto3 optional fields are written when they are set", () => {
    expect(
      toHex(expectWrittenAsReflected(all3, { maybeInt32: 0, maybeString: "", maybeChild: {} })),
    ).toBe("98 01 00 a2 01 00 aa 01 00");
    expect("maybeInt32" in all3.decode(hex(""))).toBe(false);
    expect(all3.encode({ maybeInt32: undefined })).toHaveLength(0);
  });

  test("trap 28: of a proto2 field, the object's own value counts, and neither the prototype's nor undefined", () => {
    const message = all2.create();
    expect(message.flag).toBe(true);
    expect(all2.encode(message)).toHaveLength(0);
    message.flag = true;
    message.closed = undefined;
    expect(toHex(all2.encode(message))).toBe("58 01");
    expect(toHex(all2.encode({ number: 0, text: "", flag: true }))).toBe("08 00 12 00 58 01");
    expectAsReflected(all2, hex("0800 1200 5801"));
    expect(toHex(all2023.encode({ required: {}, explicit: 0, withDefault: "x" }))).toBe(
      "08 00 52 00 7a 01 78",
    );
  });

  test("trap 29: proto2 defaults of every type are protobuf-es'", () => {
    const ours = all2.create();
    const theirs = create(all2.schema) as unknown as typeof ours;
    for (const { localName } of all2.schema.fields) {
      expect(ours[localName], localName).toStrictEqual(theirs[localName]);
    }
    expect(ours.text).toBe('a"b\\c\né');
    expect(ours.notANumber).toBeNaN();
    expect(Object.is(ours.minusZero, -0)).toBe(true);
    expect(ours.longString).toBe("18446744073709551615");
    for (const init of [
      { notANumber: Number.NaN, minusZero: 0 },
      { data: ours.data },
      { minusZero: -0 },
    ]) {
      expectWrittenAsReflected(all2, init);
    }
  });
});

test("edition 2024: presence, delimited encoding, oneofs and defaults are protobuf-es'", () => {
  const codec = codecs.codec("trap2024.All");
  expectWrittenAsReflected(codec, {
    explicit: 0,
    implicit: 0,
    packed: [1, -1],
    delimited: { number: 5n },
    map: { a: {} },
    kind: 0,
    text: "x",
    choice: { case: "child", value: {} },
  });
  expect(codec.create().text).toBe("x");
  expect(codec.encode({})).toHaveLength(0);
});

describe("values that do not fit", () => {
  test("trap 31: numbers out of range and fractions are refused; strings of numbers are taken", () => {
    const wrong = [
      ["aInt32", 1.5, /expected a 32-bit integer, got 1\.5/],
      ["aInt32", 2 ** 31, /32-bit integer/],
      ["aInt32", Number.NaN, /got NaN/],
      ["aInt32", "many", /got "many"/],
      ["aInt32", true, /got true/],
      ["aUint32", -1, /unsigned 32-bit/],
      ["aFixed32", 2 ** 32, /unsigned 32-bit/],
      ["aInt64", 2n ** 63n, /64-bit integer, got 9223372036854775808n/],
      ["aSfixed64", -(2n ** 63n) - 1n, /64-bit integer/],
      ["aUint64", -1n, /unsigned 64-bit/],
      ["aFixed64", 2n ** 64n, /unsigned 64-bit/],
      ["aInt64", 1.5, /64-bit integer/],
      ["aString", {}, /expected a string, got an object/],
      ["aBytes", "text", /expected a Uint8Array/],
      ["listInt32", [1, 2.5], /trap3\.All\.listInt32\[1\]/],
      ["child", { number: "x" }, /trap3\.All\.child\.number/],
      ["mapChild", { k: { child: { list: ["y"] } } }, /trap3\.All\.mapChild\.k\.child\.list\[0\]/],
    ] as const;
    for (const [field, value, message] of wrong) {
      const encode = () => all3.encode({ [field]: value });
      expect(encode, field).toThrow(message);
      expect(encode, field).toThrow(
        expect.objectContaining({ code: "invalid_argument", outcome: "not-executed" }),
      );
      expect(encode, field).toThrow(new RegExp(`trap3\\.All\\.${field}`));
    }
    const taken = {
      aInt32: "-7",
      aUint32: "7",
      aDouble: "1.5",
      aInt64: "-9",
      aUint64: 12,
      aFloat: "2.5",
    };
    const same = { aInt32: -7, aUint32: 7, aDouble: 1.5, aInt64: -9n, aUint64: 12n, aFloat: 2.5 };
    expect(toHex(all3.encode(taken))).toBe(toHex(all3.encode(same)));
  });

  test("packed numbers around the limits of one to five bytes are preserved, anywhere in a list", () => {
    const limits = [7, 14, 21, 28, 31].flatMap((bits) => [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]);
    for (const limit of limits) {
      for (const around of [[], [1], [300, 2 ** 20], [2 ** 20, 1, 2 ** 27]]) {
        const listUint32 = [...around, limit, ...around];
        const listInt32 = listUint32.map((value) => value | 0);
        const listSint32 = listInt32.map((value, index) => (index % 2 === 0 ? value : ~value));
        expectWrittenAsReflected(all3, { listUint32, listInt32, listSint32 });
      }
    }
  });

  test("a value that is not a list is refused, and not read as an empty one", () => {
    for (const field of ["listInt32", "listString", "listChild"]) {
      for (const value of [new Set([1]), {}, 5]) {
        expect(() => all3.encode({ [field]: value })).toThrow(
          new RegExp(`trap3\\.All\\.${field}: expected a list, got (an object|5)$`),
        );
      }
    }
  });

  test("trap 32: a float that rounds to infinity is refused; NaN and infinity are not", () => {
    expect(() => all3.encode({ aFloat: 3.5e38 })).toThrow(/aFloat.*range of a float/);
    expect(all3.decode(all3.encode({ aFloat: Number.NaN })).aFloat).toBeNaN();
    expectWrittenAsReflected(all3, { aFloat: Number.NEGATIVE_INFINITY, aDouble: 3.5e38 });
    expectWrittenAsReflected(all3, { aFloat: 0.1 });
  });

  test("trap 33: JS_STRING is for singular fields and lists, in and out", () => {
    const bytes = expectWrittenAsReflected(all3, {
      longString: "-9223372036854775808",
      longStrings: ["1", "-1"],
      longMap: { a: 5n },
    });
    const message = all3.decode(bytes);
    expect(message).toMatchObject({ longString: "-9223372036854775808", longStrings: ["1", "-1"] });
    expect(message.longMap).toEqual({ a: 5n });
    expect(all3.encode({ longString: "0" })).toHaveLength(0);
    expectAsReflected(all3, hex("b801 05 ba01 02 0102"));
  });
});

describe("text", () => {
  const invalid = [
    "ff",
    "c080",
    "eda080",
    "f4908080",
    "c3",
    "e282",
    "6180",
    "f8888080",
    "fe".repeat(40),
  ];

  test("trap 34: UTF-8 is verified where the schema says so, in fields, lists, maps and wrappers", () => {
    for (const text of invalid) {
      const size = (text.length / 2).toString(16).padStart(2, "0");
      const field = `${size}${text}`;
      const inner = (text.length / 2 + 2).toString(16).padStart(2, "0");
      expect(() => all3.decode(hex(`72${field}`)), text).toThrow(/cannot decode/);
      expect(() => all3.decode(hex(`aa02${field}`)), text).toThrow(/cannot decode/);
      expect(() => all3.decode(hex(`9a03 ${inner} 0a${field}`)), text).toThrow(/cannot decode/);
      expect(() => all3.decode(hex(`9a03 ${inner} 12${field}`)), text).toThrow(/cannot decode/);
      expect(() => all3.decode(hex(`9205 ${inner} 0a${field}`)), text).toThrow(/cannot decode/);
      expect(() => all2023.decode(hex(`22${field}`)), text).toThrow(/cannot decode/);
      expectAsReflected(all2023, hex(`1a${field}5200`));
      expectAsReflected(all2, hex(`12${field}`));
    }
    for (const text of [
      "\uFFFD",
      "\uFEFFbom",
      "a\u0000b",
      "é".repeat(30),
      "😀",
      "x".repeat(200),
      "€uro \uFFFD",
    ]) {
      const bytes = expectWrittenAsReflected(all3, { aString: text, mapString: { [text]: text } });
      expect(all3.decode(bytes)).toMatchObject({ aString: text, mapString: { [text]: text } });
    }
  });

  test("trap 35: a lone surrogate is written as U+FFFD", () => {
    for (const text of ["\uD800", "a\uDC00b", "\uD83D".repeat(40), `${"x".repeat(30)}\uD800`]) {
      expect(all3.decode(all3.encode({ aString: text })).aString).toBe(
        text.replace(/[\uD800-\uDFFF]/g, "\uFFFD"),
      );
    }
    expect(toHex(all3.encode({ aString: "\uD800" }))).toBe("72 03 ef bf bd");
  });

  test("texts of every length around the limits of the fast paths are preserved", () => {
    for (let length = 0; length < 300; length++) {
      for (const unit of ["a", "é", "€"]) {
        const aString = unit.repeat(length);
        expectWrittenAsReflected(all3, { aString });
      }
    }
  });
});

describe("bytes", () => {
  test("trap 36: bytes are views unless copies are asked for, unknown fields too", () => {
    const source = new Uint8Array([0x7a, 2, 1, 2, 0xaa, 0x7d, 1, 9]);
    const view = all3.decode(source);
    const copy = all3.decode(source, true);
    source.fill(0);
    expect(view.aBytes).toEqual(new Uint8Array([0, 0]));
    expect(copy.aBytes).toEqual(new Uint8Array([1, 2]));
    expect(copy.$unknown[0].data).toEqual(new Uint8Array([1, 9]));
    expect(copy.aBytes.buffer.byteLength).toBe(2);
  });

  test("trap 37: bytes may be any Uint8Array, also a Buffer; an initializer may give an array", () => {
    const plain = all3.encode({ aBytes: new Uint8Array([1, 2, 3]) });
    expect(all3.encode({ aBytes: Buffer.from([1, 2, 3]) })).toEqual(plain);
    expect(all3.encode({ aBytes: [1, 2, 3] })).toEqual(plain);
    expect(all3.encode({ aBytes: new Uint8Array([0, 1, 2, 3]).subarray(1) })).toEqual(plain);
    const { aBytes } = all3.decode(Buffer.from(plain));
    expect(Object.getPrototypeOf(aBytes)).toBe(Uint8Array.prototype);
  });
});

describe("well-known types", () => {
  test("trap 42: wrappers are unwrapped in singular fields outside of oneofs", () => {
    const bytes = expectWrittenAsReflected(all3, {
      wrappedInt32: 0,
      wrappedString: "",
      wrappedBytes: new Uint8Array(0),
      wrappedDouble: -0,
      wrappedUint64: 0n,
      wrappedBool: false,
      choice: { case: "choiceWrapper", value: { value: "x" } },
    });
    expect(toHex(bytes)).toContain("8a 05 00 92 05 00 9a 05 00");
    expectWrittenAsReflected(all3, {
      wrappedInt32: -3,
      wrappedString: "é",
      wrappedUint64: 5n,
      wrappedBool: true,
    });
    // The later wrapper says nothing, so what the earlier one said stays.
    expect(expectAsReflected(all3, hex("8a05 02 0805 8a05 00"))).toMatchObject({ wrappedInt32: 5 });
    expectAsReflected(all3, hex("8a05 04 0805 1801"));
  });

  test("trap 43: a Struct is a JSON object, except inside a Value", () => {
    const struct = {
      text: "x",
      number: 1.5,
      yes: true,
      nothing: null,
      list: [1, [null, {}], "y"],
      nested: { __proto__: null, deep: { deeper: [] } },
    };
    const bytes = expectWrittenAsReflected(all3, {
      struct: { ...struct, nested: { deep: { deeper: [] } } },
      structs: [{}, { a: Number.NaN }],
      mapStruct: { k: { b: null } },
      value: {
        kind: {
          case: "structValue",
          value: { fields: { f: { kind: { case: "boolValue", value: true } } } },
        },
      },
    });
    expect(all3.decode(bytes).structs[1].a).toBeNaN();
    const twice = Buffer.concat([
      all3.encode({ struct: { a: { x: 1 }, b: 1 } }),
      all3.encode({ struct: { a: { y: 2 } } }),
    ]);
    expect(expectAsReflected(all3, new Uint8Array(twice))).toMatchObject({
      struct: { a: { y: 2 }, b: 1 },
    });
    // One entry whose value comes twice: objects and lists are merged, as messages are.
    for (const digits of [
      "da05 0d 0a0b 0a0161 1202 2001 1202 2a00",
      "da05 15 0a13 0a0161 1205 3203 0a012000 1205 3203 0a01 2001",
      "da05 05 0a03 0a0161",
      "da05 07 0a05 0a0161 1200",
    ]) {
      try {
        all3.decode(hex(digits));
      } catch {
        continue;
      }
      expectAsReflected(all3, hex(digits));
    }
  });

  test("trap 44: Any is opaque in binary, and JSON needs a registry", () => {
    const bytes = expectWrittenAsReflected(all3, {
      any: { typeUrl: "type.googleapis.com/trap3.Child", value: hex("0801") },
      timestamp: { seconds: 5n, nanos: 6 },
    });
    const message = all3.decode(bytes);
    expect(message.any).toMatchObject({ value: hex("0801") });
    expect(() => toJson(all3.schema, message)).toThrow(/trap3\.Child/);
  });
});

describe("objects", () => {
  test("trap 45: no fields, fields named like keywords, and the highest number", () => {
    expectAsReflected(codecs.codec("trap3.Empty"), hex(""));
    const names = {
      constructor$: "a",
      toString$: "b",
      hasOwnProperty: "c",
      delete: "d",
      message: "e",
      writer: "f",
      readNames: "g",
      value: "h",
      toLocaleString: { i: "j" },
      isPrototypeOf: 5,
      arguments: new Uint8Array([1]),
      eval: 1,
      undefined: ["x"],
      await: true,
      object: "k",
      Object: [1],
      static: { l: "m" },
    };
    const codec = codecs.codec("trap3.Names");
    expectWrittenAsReflected(codec, names);
    expect(codec.encode({})).toHaveLength(0);
    const key = { map: { a: "b" }, struct: { struct: { c: 1 } }, packed: { list: [1, 2] } };
    expectWrittenAsReflected(codecs.codec("trap3.Key"), key);
    expect(toHex(expectWrittenAsReflected(all3, { highest: 1 }))).toBe("f8 ff ff ff 0f 01");
    expectAsReflected(codecs.codec("trap3.Empty"), hex("faffffff0f 01 61"));
  });

  test("trap 46: an empty message has fresh defaults, and messages share no list or map", () => {
    expect(all3.decode(hex(""))).toStrictEqual(create(all3.schema));
    const [one, other] = [all3.decode(hex("")), all3.decode(hex(""))];
    expect(one.listInt32).not.toBe(other.listInt32);
    expect(one.mapString).not.toBe(other.mapString);
    expect(one.choice).not.toBe(other.choice);
    expect(Object.keys(one)).toEqual(Object.keys(create(all3.schema)));
  });

  test("trap 47: a message of another type is refused, nested too", () => {
    const child = child3.create();
    expect(() => all3.encode(child)).toThrow(/expected a trap3\.All, got a trap3\.Child/);
    expect(() => all3.encode({ self: child })).toThrow(/trap3\.All\.self/);
    expect(() => all3.encode({ listChild: [child, all3.create()] })).toThrow(/listChild\[1\]/);
  });

  test("unknown fields of an initializer are dropped, nested too, and those of a message are kept", () => {
    const $unknown = [{ no: 99, wireType: 0, data: new Uint8Array([1]) }];
    const kept = { ...child3.create(), $unknown };
    const choice = { case: "choiceChild", value: { $unknown } };
    for (const given of [
      { $unknown },
      { child: { $unknown }, listChild: [{ $unknown }, kept], mapChild: { a: { $unknown } } },
      { child: kept, choice },
      { ...all3.create(), $unknown, child: kept },
    ]) {
      const theirs = toBinary(all3.schema, create(all3.schema, given as never));
      expect(toHex(all3.encode(given))).toBe(toHex(theirs));
    }
  });

  test("trap 48: messages are plain data", () => {
    const message = all3.decode(
      all3.encode({
        child: { map: { a: 1 } },
        aBytes: new Uint8Array(2),
        choice: { case: "choiceInt32", value: 1 },
      }),
    );
    const check = (value: unknown): void => {
      if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
      expect([Object.prototype, Array.prototype]).toContain(Object.getPrototypeOf(value));
      expect(Object.getOwnPropertySymbols(value)).toEqual([]);
      for (const { get } of Object.values(Object.getOwnPropertyDescriptors(value)))
        expect(get).toBeUndefined();
      for (const inner of Object.values(value)) check(inner);
    };
    check(message);
    expect(structuredClone(message)).toEqual(message);
    expect(isMessage(message, all3.schema)).toBe(true);
  });

  test("trap 49: the same object gives the same bytes", () => {
    const init = { aString: "x", mapString: { b: "1", a: "2" }, listChild: [{ number: 1 }] };
    const bytes = all3.encode(init);
    for (let i = 0; i < 5; i++) expect(all3.encode(init)).toEqual(bytes);
    expect(all3.encode(all3.decode(bytes))).toEqual(bytes);
  });

  test("trap 50: 64-bit integers are bigint", () => {
    expect(all3.decode(hex("1001")).aInt64).toBe(1n);
    expect(all3.create().aUint64).toBe(0n);
  });
});

describe("caller-provided buffers", () => {
  const init = {
    aString: "a text that is longer than a short one",
    child: { text: "é".repeat(70), list: [1, 2, 3] },
    listDouble: [1, 2, 3],
    aBytes: new Uint8Array(40),
  };

  test("a message is written if it fits, to the byte, and needs more otherwise", () => {
    const bytes = all3.encode(init);
    for (let size = 0; size <= bytes.length + 40; size++) {
      const target = new Uint8Array(size + 3).fill(0xee);
      const end = all3.encodeInto(init, target, 3);
      expect(end).toBe(bytes.length + 3);
      if (end <= target.length) expect(target.subarray(3, end)).toEqual(bytes);
      expect(target.subarray(0, 3)).toEqual(new Uint8Array(3).fill(0xee));
    }
  });

  test("encoded messages do not share bytes, and may be encoded while another one is", () => {
    const first = all3.encode({ aString: "first" });
    const second = all3.encode({
      get aString() {
        all3.encode({ aString: "third" });
        return "second";
      },
    });
    expect(all3.decode(first).aString).toBe("first");
    expect(all3.decode(second).aString).toBe("second");
    const large = all3.encode({ aBytes: new Uint8Array(100_000).fill(7) });
    all3.encode({ aBytes: new Uint8Array(100_000).fill(8) });
    expect(all3.decode(large).aBytes[99_999]).toBe(7);
  });

  test("messages of packages generated by others use protobuf-es", () => {
    const codec = reflectCodec(child3.schema);
    const bytes = child3.encode({ number: 5, child: { text: "x" } });
    expect(codec.decode(bytes)).toStrictEqual(child3.decode(bytes));
    expect(codec.encode({ number: 5, child: { text: "x" } } as never)).toEqual(bytes);
  });
});
