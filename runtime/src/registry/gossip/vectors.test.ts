import { createCipheriv, createHash, createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toHex, wireVectors } from "../../../../test/support/wire.ts";
import { ByteWriter } from "./byte-writer.ts";
import { readDatagram, writePing, writeProbe, writeUpdateMark } from "./datagram.ts";
import { clientHello, readClientHello, serverHello, streamKeys } from "./handshake.ts";
import { Keyring } from "./keyring.ts";
import { type MemberUpdate, writeUpdate } from "./member-update.ts";
import { ChunkOpener, ChunkSealer } from "./sealed-chunks.ts";
import { DatagramSealer } from "./sealed-datagram.ts";
import {
  encodePull,
  encodeRecords,
  encodeState,
  encodeStreamPing,
  readStreamMessage,
} from "./stream-message.ts";

// The vectors of docs/gossip.md, with what they are made of.
const clusterKey = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
const [sender, receiver, third] = ["11", "22", "33"].map((byte) => byte.repeat(8)) as [
  string,
  string,
  string,
];
const [clientRandom, serverRandom] = [Buffer.alloc(16, 0xaa), Buffer.alloc(16, 0xbb)];
const suspect: MemberUpdate = {
  id: third,
  state: "suspect",
  incarnation: 5,
  version: 2,
  host: "10.0.0.7",
  port: 7946,
  by: sender,
};
const alive: MemberUpdate = {
  id: sender,
  state: "alive",
  incarnation: 0,
  version: 1,
  host: "fd00:0:0:0:0:0:0:1",
  port: 7946,
  by: sender,
};
const record = { bytes: Buffer.from('{"revision":1,"node":{}}'), changedAt: 3 };
const known = { bytes: Buffer.from("known"), changedAt: 1 };

const vectors = new Map(wireVectors("gossip.md").map(({ name, bytes }) => [name, bytes]));
const bytesOf = (name: string): Buffer => Buffer.from(vectors.get(name) ?? []);

const written = (write: (writer: ByteWriter) => void): Buffer => {
  const writer = new ByteWriter();
  write(writer);
  return writer.done();
};
const pingWithUpdate = () =>
  written((writer) => {
    writePing(writer, "ping", 7, 0x0102_0304);
    writeUpdateMark(writer);
    writeUpdate(writer, suspect);
  });
const newKeyring = () => new Keyring([clusterKey.toString("base64")]);

describe("the vectors of the protocol are what is sent", () => {
  const { first } = newKeyring();
  const { toServer, toClient } = streamKeys(first, clientRandom, serverRandom);
  test.each<[string, () => Buffer]>([
    ["ping-with-update", pingWithUpdate],
    [
      "probe-ipv6",
      () => written((writer) => writeProbe(writer, 9, { id: third, host: "fd00::7", port: 7946 })),
    ],
    [
      "sealed-datagram",
      () => new DatagramSealer(sender, newKeyring()).seal(receiver, pingWithUpdate()),
    ],
    ["client-hello", () => clientHello(first, clientRandom)],
    ["server-hello", () => serverHello(serverRandom)],
    ["stream-ping", () => encodeStreamPing("ping", receiver)],
    ["sealed-request", () => new ChunkSealer(toServer).seal(encodeStreamPing("ping", receiver))],
    ["sealed-response", () => new ChunkSealer(toClient).seal(encodeStreamPing("ack", receiver))],
    ["state", () => encodeState([alive, suspect])],
    ["pull", () => encodePull([{ id: third, have: 2 }])],
    [
      "records",
      () =>
        encodeRecords([{ id: third, have: 2 }], () => ({
          version: 3,
          bytes: 50,
          records: new Map([
            ["a/1", known],
            ["a/2", record],
          ]),
        })),
    ],
  ])("%s", (name, make) => {
    expect(toHex(make())).toBe(toHex(bytesOf(name)));
  });
});

describe("the vectors of the protocol are read", () => {
  test("as parts of datagrams", () => {
    expect(readDatagram(bytesOf("ping-with-update"))).toEqual([
      { kind: "ping", probe: 7, view: 0x0102_0304 },
      { kind: "update", update: suspect },
    ]);
    expect(readDatagram(bytesOf("probe-ipv6"))).toEqual([
      {
        kind: "probe",
        probe: 9,
        target: { id: third, host: "fd00:0:0:0:0:0:0:7", port: 7946 },
      },
    ]);
  });

  test("as messages of streams", () => {
    expect(readStreamMessage(bytesOf("stream-ping"))).toEqual({ kind: "ping", id: receiver });
    expect(readStreamMessage(bytesOf("state"))).toEqual({
      kind: "state",
      updates: [alive, suspect],
    });
    expect(readStreamMessage(bytesOf("pull"))).toEqual({
      kind: "pull",
      wanted: [{ id: third, have: 2 }],
    });
    expect(readStreamMessage(bytesOf("records"))).toEqual({
      kind: "records",
      sets: [
        {
          id: third,
          version: 3,
          records: [
            { key: "a/1", changedAt: 1, bytes: undefined },
            { key: "a/2", changedAt: 3, bytes: record.bytes },
          ],
        },
      ],
    });
  });

  test("as sealed packets", () => {
    expect(new DatagramSealer(receiver, newKeyring()).open(bytesOf("sealed-datagram"))).toEqual({
      from: sender,
      payload: bytesOf("ping-with-update"),
    });
    const hello = readClientHello(bytesOf("client-hello"), newKeyring());
    if ("refused" in hello) throw new Error(hello.refused);
    const { toServer } = streamKeys(hello.key, hello.random, bytesOf("server-hello").subarray(1));
    expect(new ChunkOpener(toServer).push(bytesOf("sealed-request"))).toEqual(
      bytesOf("stream-ping"),
    );
  });
});

/** Written from the text of docs/gossip.md alone. */
describe("the text of the protocol seals alike", () => {
  const keyName = createHash("sha256")
    .update(Buffer.concat([Buffer.from("micro-es gossip key\0"), clusterKey]))
    .digest()
    .subarray(0, 4);
  const derived = (purpose: string, ...context: Buffer[]) =>
    createHmac("sha256", clusterKey)
      .update(Buffer.concat([Buffer.from(`micro-es gossip 1 ${purpose}\0`), ...context]))
      .digest();
  const sealed = (key: Buffer, count: number, additional: Buffer, plain: Buffer) => {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(count, 8);
    const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(additional);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  };

  test("a datagram", () => {
    const from = Buffer.from(sender, "hex");
    const header = Buffer.concat([Buffer.of(0xa7), keyName, from, Buffer.of(0, 0, 0, 0, 0, 1)]);
    const additional = Buffer.concat([header, Buffer.from(receiver, "hex")]);
    const plain = bytesOf("ping-with-update");
    const body = sealed(derived("datagram", from), 1, additional, plain);
    expect(toHex(Buffer.concat([header, body]))).toBe(toHex(bytesOf("sealed-datagram")));
  });

  test("a request on a stream", () => {
    const key = derived("stream to server", clientRandom, serverRandom);
    const plain = bytesOf("stream-ping");
    const length = Buffer.of(0, plain.length);
    const chunk = Buffer.concat([length, sealed(key, 0, length, plain)]);
    expect(toHex(chunk)).toBe(toHex(bytesOf("sealed-request")));
    const hello = Buffer.concat([Buffer.of(0xa8), keyName, clientRandom]);
    expect(toHex(hello)).toBe(toHex(bytesOf("client-hello")));
  });
});

describe("a later version", () => {
  test("is refused by name", () => {
    const datagram = bytesOf("sealed-datagram");
    datagram[0] = 0xb7;
    expect(new DatagramSealer(receiver, newKeyring()).open(datagram)).toEqual({
      refused: "laterVersion",
    });
    const hello = bytesOf("client-hello");
    hello[0] = 0xb8;
    expect(readClientHello(hello, newKeyring())).toEqual({ refused: "laterVersion" });
  });

  test("is not seen in what other programs send", () => {
    for (const first of [0x00, 0x16, 0x47, 0x48, 0x57, 0x58, 0xa8]) {
      const datagram = bytesOf("sealed-datagram");
      datagram[0] = first;
      expect(new DatagramSealer(receiver, newKeyring()).open(datagram)).toEqual({
        refused: "malformed",
      });
    }
  });
});
