import { describe, expect, test } from "vitest";
import { FrameReader } from "./frames.ts";
import { JuteReader, JuteWriter, MalformedError } from "./jute.ts";
import {
  decodeConnect,
  decodeEvent,
  decodeHeader,
  encodeAuth,
  encodeClose,
  encodeConnect,
  encodeHead,
  encodePing,
  encodeSetWatches,
} from "./messages.ts";
import {
  addWatch,
  create,
  getChildren,
  getData,
  type Operation,
  remove,
  removeWatches,
  setData,
  sync,
  transaction,
} from "./operations.ts";

const acl = [{ permissions: 31, scheme: "world", id: "anyone" }];
const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const ofHex = (text: string) => new JuteReader(hex(text));

/** As a request that is sent: its frame in hexadecimal. */
function requestOf(operation: Operation<unknown>): string {
  const writer = encodeHead(1, operation.type);
  operation.write(writer);
  return writer.frame().toString("hex");
}

const stat = `
  0000000100000002 0000000100000003 0000000000000000 0000018000000000 00000004 00000005 00000006
  00c0ffee00000001 00000007 00000008 0000000100000009`;
const decodedStat = {
  czxid: 0x100000002n,
  mzxid: 0x100000003n,
  mtime: 0x18000000000,
  version: 4,
  ephemeralOwner: 0xc0ffee00000001n,
  numChildren: 8,
  pzxid: 0x100000009n,
};

describe("requests", () => {
  test.each<[string, Buffer, string]>([
    [
      "of a session",
      encodeConnect({
        lastZxid: 5n,
        timeoutMs: 10_000,
        sessionId: 0x100n,
        password: new Uint8Array(2),
      }),
      "0000001f 00000000 0000000000000005 00002710 0000000000000100 00000002 0000 00",
    ],
    ["that ping", encodePing(), "00000008 fffffffe 0000000b"],
    ["that end a session", encodeClose(7), "00000008 00000007 fffffff5"],
    [
      "of a user",
      encodeAuth("digest", Buffer.from("a:b")),
      "0000001d fffffffc 00000064 00000000 00000006 646967657374 00000003 613a62",
    ],
    [
      "that set watches",
      encodeSetWatches(9n, ["/a"], ["/b", "/c"]),
      `00000036 fffffff8 00000069 0000000000000009 00000000 00000000 00000000
       00000001 00000002 2f61 00000002 00000002 2f62 00000002 2f63`,
    ],
  ])("%s have their bytes", (_what, frame, expected) => {
    expect(frame.toString("hex")).toBe(expected.replaceAll(/\s/g, ""));
  });

  const head = (type: string) => `00000001 ${type}`;
  test.each<[string, Operation<unknown>, string]>([
    [
      "creations",
      create({ path: "/a", data: Buffer.from("x"), acl, isEphemeral: true }),
      `00000032 ${head("0000000f")} 00000002 2f61 00000001 78 00000001 0000001f 00000005 776f726c64
       00000006 616e796f6e65 00000001`,
    ],
    ["deletions", remove("/a", -1), `00000012 ${head("00000002")} 00000002 2f61 ffffffff`],
    [
      "changes",
      setData("/a", Buffer.from("x"), 3),
      `00000017 ${head("00000005")} 00000002 2f61 00000001 78 00000003`,
    ],
    ["reads", getData("/a"), `0000000f ${head("00000004")} 00000002 2f61 00`],
    ["reads of children", getChildren("/a"), `0000000f ${head("0000000c")} 00000002 2f61 00`],
    ["synchronizations", sync("/a"), `0000000e ${head("00000009")} 00000002 2f61`],
    ["watches", addWatch("/a", true), `00000012 ${head("0000006a")} 00000002 2f61 00000001`],
    ["ends of watches", removeWatches("/a"), `00000012 ${head("00000012")} 00000002 2f61 00000003`],
    [
      "transactions",
      transaction([remove("/a", 0)]),
      `00000024 ${head("0000000e")} 00000002 00 ffffffff 00000002 2f61 00000000 ffffffff 01 ffffffff`,
    ],
  ])("%s have their bytes", (_what, operation, expected) => {
    expect(requestOf(operation)).toBe(expected.replaceAll(/\s/g, ""));
  });
});

describe("responses", () => {
  test("of sessions, of watches and to requests are read", () => {
    expect(decodeConnect(ofHex("00000000 00000fa0 0000000000000100 00000002 abcd 00"))).toEqual({
      timeoutMs: 4_000,
      sessionId: 256n,
      password: Buffer.from([0xab, 0xcd]),
    });
    expect(decodeEvent(ofHex("00000003 00000003 00000002 2f61"))).toEqual({ type: 3, path: "/a" });
    expect(decodeHeader(ofHex("00000001 0000000100000002 ffffff9b"))).toEqual({
      xid: 1,
      zxid: 0x100000002n,
      err: -101,
    });
  });

  test("have the state of a znode, its data and its children", () => {
    expect(getData("/a").read(ofHex(`00000001 78 ${stat}`))).toEqual({
      data: Buffer.from("x"),
      stat: decodedStat,
    });
    expect(getChildren("/a").read(ofHex(`00000002 00000001 62 00000000 ${stat}`))).toEqual({
      children: ["b", ""],
      stat: decodedStat,
    });
    // A znode that was created without data has those of length -1.
    expect(getData("/a").read(ofHex(`ffffffff ${stat}`)).data).toHaveLength(0);
  });

  test("have a result for each operation of a transaction, or its error", () => {
    const read = (text: string) => transaction([]).read(ofHex(`${text} ffffffff 01 ffffffff`));
    expect(
      read(`00000002 00 00000000
            0000000f 00 00000000 00000002 2f61 ${stat}
            00000001 00 00000000 00000002 2f61
            00000005 00 00000000 ${stat}`),
    ).toEqual([
      { err: 0, stat: undefined },
      { err: 0, stat: decodedStat },
      { err: 0, stat: undefined },
      { err: 0, stat: decodedStat },
    ]);
    expect(read("ffffffff 00 00000000 00000000 ffffffff 00 ffffff99 ffffff99")).toEqual([
      { err: 0, stat: undefined },
      { err: -103, stat: undefined },
    ]);
    expect(() => read("00000063 00 00000000")).toThrow(MalformedError);
  });
});

describe("malformed input", () => {
  test.each<[string, () => unknown]>([
    ["a text longer than its message", () => ofHex("7fffffff 61").text()],
    ["a negative length", () => ofHex("fffffffe 61").bytes()],
    ["a list longer than its message", () => ofHex("10000000 61").list(4, () => 0)],
    ["a list of a negative length", () => ofHex("fffffff0").list(4, () => 0)],
    ["a state that is cut off", () => getData("/a").read(ofHex(`00000000 ${stat}`.slice(0, -2)))],
    ["a transaction without an end", () => transaction([]).read(ofHex("00000002 00 00000000"))],
  ])("%s is told", (_what, read) => {
    expect(read).toThrow(MalformedError);
  });

  test("mutated responses are read or told, and nothing else happens", () => {
    const responses: readonly [string, (reader: JuteReader) => unknown][] = [
      [`00000001 78 ${stat}`, getData("/a").read],
      [`00000002 00000001 62 00000001 63 ${stat}`, getChildren("/a").read],
      [
        `00000002 00 00000000 0000000f 00 00000000 00000002 2f61 ${stat} ffffffff 01 ffffffff`,
        transaction([]).read,
      ],
      ["00000000 00000fa0 0000000000000100 00000002 abcd 00", decodeConnect],
      ["00000003 00000003 00000002 2f61", decodeEvent],
      ["00000001 0000000100000002 ffffff9b", decodeHeader],
    ];
    let [told, read] = [0, 0];
    // A linear congruential generator, so that a failure can be repeated.
    let seed = 20_261_201;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    for (let turn = 0; turn < 60_000; turn++) {
      const [text, decode] = responses[turn % responses.length] as (typeof responses)[number];
      let bytes = hex(text);
      for (let change = random(3); change >= 0; change--) {
        const at = random(bytes.length);
        if (random(3) === 0) bytes = bytes.subarray(0, at + 1);
        else bytes[at] = random(4) === 0 ? 255 : random(256);
      }
      try {
        decode(new JuteReader(bytes));
        read++;
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
        told++;
      }
    }
    expect(told).toBeGreaterThan(1_000);
    expect(read).toBeGreaterThan(1_000);
  });
});

describe("frames", () => {
  const frameOf = (text: string) => {
    const writer = new JuteWriter();
    for (const char of text) writer.bool(char === "1");
    return writer.frame();
  };

  test("are put together, however they are divided", () => {
    const all = Buffer.concat(["101", "", "1", "0".repeat(5_000)].map(frameOf));
    for (const size of [1, 2, 3, 5, 7, 1_000, all.length]) {
      const reader = new FrameReader(5_000);
      const found: number[] = [];
      for (let at = 0; at < all.length; at += size) {
        reader.push(all.subarray(at, at + size));
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
          found.push(frame.length);
        }
      }
      expect(found).toEqual([3, 0, 1, 5_000]);
    }
  });

  test.each(["00000065", "7fffffff", "ffffffff", "80000000"])(
    "of the length %s are refused before they arrive",
    (length) => {
      const reader = new FrameReader(100);
      reader.push(hex(length));
      expect(() => reader.next()).toThrow(MalformedError);
    },
  );
});
