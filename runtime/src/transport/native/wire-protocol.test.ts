import { createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { answering, outgoing, until } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import {
  type Frame,
  FrameCollector,
  fromHex,
  metadataPairs,
  pairsMetadata,
  RawPeer,
  toHex,
  wireVectors,
  written,
} from "../../../../test/support/wire.ts";
import { codeToNumber, MicroError } from "../../base/error.ts";
import { Metadata } from "../../base/metadata.ts";
import { tcpTransport } from "../tcp/transport.ts";
import { defaultLimits } from "../transport.ts";
import { readStatus, retryField, statusField, writeStatus } from "./error-status.ts";
import { readUint16 } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { readHello, writeHello } from "./hello.ts";
import { blockEnd, readMetadata } from "./payload.ts";
import { flag, frameType, preface } from "./protocol.ts";

/** A frame as the document's JSON describes it. */
interface Meaning {
  type: string;
  flags?: string[];
  method?: number;
  call?: number;
  aux?: number;
  settings?: object;
  contentType?: string;
  name?: string;
  scheme?: number;
  token?: string;
  credential?: number;
  metadata?: [string, string][];
  trailers?: [string, string][];
  message?: string;
  text?: string;
  error?: {
    code: MicroError["code"];
    outcome: MicroError["outcome"];
    message: string;
    retryAfterMs?: number;
    details: [string, string][];
  };
}

const vectors = new Map(wireVectors().map((vector) => [vector.name, vector]));
const typeNames = new Map(
  Object.entries(frameType).map(([name, type]) => [type as number, name.toUpperCase()]),
);

const flagBits = (type: string): [string, number][] =>
  type === "RESULT"
    ? [
        ["METADATA", flag.metadata],
        ["MESSAGE", flag.message],
        ["TRAILERS", flag.trailers],
      ]
    : [
        ["END", flag.end],
        ["METADATA", flag.metadata],
        ["MESSAGE", flag.message],
        ["STREAM", flag.stream],
        ["CREDENTIAL", flag.credential],
      ];

describe("the document's test vectors", () => {
  test("are complete", () => {
    expect([...vectors.keys()]).toEqual(
      expect.arrayContaining(["preface", "metadata", "exchange", "hello", "result-error"]),
    );
    const inFrames = [...vectors.values()]
      .map((vector) => (vector.meaning as Meaning | undefined)?.type)
      .filter((type) => type !== undefined);
    expect(new Set(inFrames)).toEqual(new Set(typeNames.values()));
  });

  test("have the preface as it is sent", () => {
    expect(toHex(preface)).toBe(toHex(vectors.get("preface")!.bytes));
  });

  test("have metadata as it is encoded", () => {
    const { bytes, meaning } = vectors.get("metadata")!;
    const { metadata } = meaning as { metadata: [string, string][] };
    expect(metadataPairs(Metadata.decode(bytes))).toEqual(metadata);
    expect(toHex(pairsMetadata(metadata).encode())).toBe(toHex(bytes));
  });

  for (const { name, bytes, meaning } of vectors.values()) {
    if (meaning === undefined || name === "metadata") continue;
    test(`${name} is read as stated`, () => {
      const collector = new FrameCollector();
      collector.reader.push(bytes);
      const expected = name === "ignorable" ? [] : [meaning];
      expect(collector.frames.map(meaningOf)).toEqual(expected);
      expect(collector.reader.atBoundary).toBe(true);
    });
    if (name === "ignorable" || name === "hello-partial") continue;
    test(`${name} is written as stated`, async () => {
      expect(toHex(await written((writer) => write(writer, meaning as Meaning)))).toBe(
        toHex(bytes),
      );
    });
  }

  test("have an exchange that the server completes byte by byte", async () => {
    const { exchange } = vectors.get("exchange")!;
    const listener = await tcpTransport().listen(
      "127.0.0.1:0",
      answering({ unary: ({ text }) => ({ text }) }),
    );
    const peer = await RawPeer.connect(listener.address);
    let expected = "";
    for (const { from, bytes } of exchange) {
      if (from === "client") {
        peer.send(bytes);
        continue;
      }
      expected += toHex(bytes);
      // The server's last frame announces the drain.
      if (bytes === exchange.at(-1)?.bytes) {
        await until(() => peer.ofType(frameType.result).length === 1);
        await listener.drain();
      }
      await until(() => peer.received.length * 2 >= expected.length);
      expect(toHex(peer.received)).toBe(expected);
    }
    peer.close();
    await listener.close();
  });

  test("have an exchange that the client starts byte by byte", async () => {
    const { exchange } = vectors.get("exchange")!;
    const sent = Buffer.concat(
      exchange.filter((part) => part.from === "client").map((part) => part.bytes),
    );
    // The vector's call has a deadline; without one its field is the same each time.
    sent.writeUInt32BE(0, sent.length - 8);
    const answers = exchange.filter((part) => part.from === "server").map((part) => part.bytes);
    let received = Buffer.alloc(0);
    const server = createServer((socket: Socket) => {
      socket.write(answers[0]!);
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        if (received.length === sent.length) socket.write(answers[1]!);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const channel = await tcpTransport().dial(`127.0.0.1:${port}`);
    const call = { ...outgoing(), deadline: Number.POSITIVE_INFINITY };
    const answer = await channel.unary(echo.echo, { text: "hi" }, call);
    expect(answer.text).toBe("hi");
    expect(toHex(received)).toBe(toHex(sent));
    expect((await channel.closed)?.code).toBe("unavailable");
    await new Promise((resolve) => server.close(resolve));
  });
});

/** Describes a frame in the terms of the document. */
function meaningOf(frame: Frame): Meaning {
  const type = typeNames.get(frame.type)!;
  const bytes = frame.payload!;
  const flags = frame.flags!;
  const meaning: Meaning = { type };
  const names = flagBits(type)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name);
  if (names.length > 0 && ["CALL", "MESSAGE", "RESULT"].includes(type)) meaning.flags = names;
  if (type === "METHOD") {
    const nameAt = 1 + bytes[0]!;
    const text = Buffer.from(bytes).toString("latin1");
    return {
      ...meaning,
      method: frame.method!,
      contentType: text.slice(1, nameAt),
      name: text.slice(nameAt),
    };
  }
  if (type === "CREDENTIAL") {
    const token = Buffer.from(bytes.subarray(1)).toString("latin1");
    return { ...meaning, method: frame.method!, scheme: bytes[0]!, token };
  }
  if (frame.call! > 0) meaning.call = frame.call!;
  if (type === "CALL") meaning.method = frame.method!;
  if (["CALL", "CANCEL", "CREDIT", "PING", "PONG", "GOAWAY"].includes(type)) {
    meaning.aux = frame.aux!;
  }
  if (type === "HELLO") meaning.settings = readHello(bytes, 0, bytes.length);
  if (type === "GOAWAY") meaning.text = Buffer.from(bytes).toString();
  if (type === "HEADERS") meaning.metadata = metadataPairs(Metadata.decode(bytes));
  if (type === "MESSAGE") meaning.message = toHex(bytes);
  if (type !== "CALL" && type !== "RESULT") return meaning;
  let at = 0;
  const block = () => {
    const start = at;
    at = blockEnd(bytes, start, bytes.length);
    return metadataPairs(readMetadata(bytes, start, at));
  };
  if (type === "CALL" && (flags & flag.credential) !== 0) {
    meaning.credential = readUint16(bytes, 0);
    at = 2;
  }
  if ((flags & flag.metadata) !== 0) meaning.metadata = block();
  if (type === "RESULT" && (flags & flag.trailers) !== 0) meaning.trailers = block();
  if ((flags & flag.message) !== 0) meaning.message = toHex(bytes.subarray(at));
  if (type === "RESULT" && (flags & flag.error) !== 0) {
    const error = readStatus(frame.method!, frame.aux!, bytes, at, bytes.length);
    meaning.error = {
      code: error.code,
      outcome: error.outcome,
      message: error.message,
      ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
      details: error.details.map((detail) => [detail.typeName, toHex(detail.value)]),
    };
  }
  return meaning;
}

/** Writes a frame that the document describes. */
function write(writer: FrameWriter, meaning: Meaning): void {
  if (meaning.type === "HELLO") {
    const settings = { ...defaultLimits, credentials: 0, ...meaning.settings };
    writeHello(writer, settings, settings.credentials);
    return;
  }
  const type = frameType[meaning.type.toLowerCase() as keyof typeof frameType];
  const bits = new Map(flagBits(meaning.type));
  let flags = 0;
  for (const name of meaning.flags ?? []) flags |= bits.get(name)!;
  let { method = 0, aux = 0 } = meaning;
  const error =
    meaning.error &&
    new MicroError(meaning.error.code, meaning.error.message, {
      outcome: meaning.error.outcome,
      details: meaning.error.details.map(([typeName, value]) => ({
        typeName,
        value: fromHex(value),
      })),
      ...(meaning.error.retryAfterMs !== undefined && { retryAfterMs: meaning.error.retryAfterMs }),
    });
  if (error !== undefined) {
    flags |= flag.error;
    method = statusField(error);
    aux = retryField(error);
  }
  writer.open(type, flags, method, meaning.call ?? 0, aux);
  if (meaning.contentType !== undefined) {
    const { contentType, name } = meaning;
    writer.bytes(Buffer.from(`${String.fromCharCode(contentType.length)}${contentType}${name}`));
  }
  if (meaning.scheme !== undefined) {
    writer.bytes(Buffer.from(`${String.fromCharCode(meaning.scheme)}${meaning.token}`, "latin1"));
  }
  if (meaning.credential !== undefined) writer.uint16(meaning.credential);
  if (meaning.metadata !== undefined) {
    const block = pairsMetadata(meaning.metadata).encode();
    if (meaning.type === "HEADERS") writer.bytes(block);
    else writer.block(block);
  }
  if (meaning.trailers !== undefined) writer.block(pairsMetadata(meaning.trailers).encode());
  if (error !== undefined) writeStatus(writer, error);
  if (meaning.text !== undefined) writer.bytes(Buffer.from(meaning.text));
  if (meaning.message !== undefined) writer.bytes(fromHex(meaning.message));
  writer.close();
}

test("codes have gRPC's numbers", () => {
  expect(codeToNumber("canceled")).toBe(1);
  expect(codeToNumber("deadline_exceeded")).toBe(4);
  expect(codeToNumber("unavailable")).toBe(14);
});
