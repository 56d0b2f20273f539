import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Writable } from "node:stream";
import { Metadata } from "@micro-es/runtime";
import { type FrameHandler, FrameReader } from "../../runtime/src/transport/native/frame-reader.ts";
import { FrameWriter } from "../../runtime/src/transport/native/frame-writer.ts";
import { frameType } from "../../runtime/src/transport/native/protocol.ts";

/** One block of a document that is marked as a test vector. */
export interface Vector {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Bytes in order, each with its sender; empty if the vector is not an exchange. */
  readonly exchange: readonly { readonly from: "client" | "server"; readonly bytes: Uint8Array }[];
  /** What the bytes mean, where the vector says so. */
  readonly meaning: unknown;
}

/** All test vectors of the native protocol's document, or of another one in `docs`. */
export function wireVectors(file = "wire-protocol.md"): readonly Vector[] {
  const document = readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8");
  return [...document.matchAll(/^```vector (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, body]) => {
    const lines = body!.trimEnd().split("\n");
    const meaning = lines.filter((line) => line.startsWith("=> "));
    const data = lines.filter((line) => !line.startsWith("=> "));
    return {
      name: name!,
      bytes: fromHex(data.filter((line) => !/^[<>]/.test(line)).join("")),
      exchange: turns(data.filter((line) => /^[<>]/.test(line))),
      meaning: meaning.length === 0 ? undefined : JSON.parse(meaning[0]!.slice(3)),
    };
  });
}

/** The lines of an exchange, those that one side sends after each other as one. */
function turns(lines: readonly string[]): Vector["exchange"] {
  const exchange: { from: "client" | "server"; bytes: Uint8Array }[] = [];
  for (const line of lines) {
    const from = line.startsWith(">") ? "client" : "server";
    const bytes = fromHex(line.slice(1));
    const last = exchange.at(-1);
    if (last?.from === from) last.bytes = Buffer.concat([last.bytes, bytes]);
    else exchange.push({ from, bytes });
  }
  return exchange;
}

/** The parts of a frame; zero and empty ones are left out. */
export interface Frame {
  readonly type: number;
  readonly flags?: number;
  readonly method?: number;
  readonly call?: number;
  readonly aux?: number;
  readonly payload?: Uint8Array;
}

/** The bytes of a frame. */
export function frame(parts: Frame): Uint8Array {
  const payload = parts.payload ?? new Uint8Array();
  const header = Buffer.alloc(16);
  header.writeUInt32BE(payload.length, 0);
  header[4] = parts.type;
  header[5] = parts.flags ?? 0;
  header.writeUInt16BE(parts.method ?? 0, 6);
  header.writeUInt32BE(parts.call ?? 0, 8);
  header.writeUInt32BE(parts.aux ?? 0, 12);
  return Buffer.concat([header, payload]);
}

/** Frames of a METHOD with such a name. */
export function methodFrame(number: number, name: string, contentType?: string): Uint8Array {
  const type = contentType ?? "application/protobuf";
  const payload = Buffer.from(`${String.fromCharCode(type.length)}${type}${name}`, "latin1");
  return frame({ type: frameType.method, method: number, payload });
}

/** HELLO as vector `hello` has it, after the preface. */
export function greeting(): Uint8Array {
  const vectors = new Map(wireVectors().map((vector) => [vector.name, vector.bytes]));
  return Buffer.concat([vectors.get("preface")!, vectors.get("hello")!]);
}

/** Collects the frames that a reader gives. */
export class FrameCollector implements FrameHandler {
  readonly frames: Frame[] = [];
  readonly reader: FrameReader;
  /** Called for each frame after it was collected. */
  onFrame: (frame: Frame) => void = () => undefined;

  constructor(maxMessageBytes = 4 * 1024 * 1024) {
    this.reader = new FrameReader(this, maxMessageBytes);
  }

  frame(
    type: number,
    flags: number,
    method: number,
    call: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const payload = Uint8Array.from(bytes.subarray(start, end));
    const parts = { type, flags, method, call, aux, payload };
    this.frames.push(parts);
    this.onFrame(parts);
  }
}

/** The bytes that are written through a real frame writer. */
export async function written(write: (writer: FrameWriter) => void): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Uint8Array.from(chunk as Uint8Array));
      done();
    },
  });
  write(new FrameWriter(sink as unknown as Socket, () => undefined));
  await new Promise((resolve) => setImmediate(resolve));
  return Buffer.concat(chunks);
}

/** A connection whose bytes the test writes and reads itself. */
export class RawPeer {
  readonly socket: Socket;
  readonly collector: FrameCollector = new FrameCollector();
  /** Everything that came, the preface included. */
  received: Buffer = Buffer.alloc(0);
  closed = false;
  #fed = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      if (this.received.length < 8) return;
      this.collector.reader.push(Uint8Array.from(this.received.subarray(Math.max(8, this.#fed))));
      this.#fed = this.received.length;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Connects to an address such as `127.0.0.1:4000`, and says nothing. */
  static async connect(address: string): Promise<RawPeer> {
    const colon = address.lastIndexOf(":");
    const socket = connect({
      host: address.slice(0, colon),
      port: Number(address.slice(colon + 1)),
      noDelay: true,
    });
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new RawPeer(socket);
  }

  get frames(): readonly Frame[] {
    return this.collector.frames;
  }

  /** The frames of one type that have come. */
  ofType(type: number): readonly Frame[] {
    return this.frames.filter((each) => each.type === type);
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  close(): void {
    this.socket.destroy();
  }
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Metadata as pairs of texts, bytes in hex. */
export function metadataPairs(metadata: Metadata): [string, string][] {
  return [...metadata].map(([key, value]) => [
    key,
    typeof value === "string" ? value : toHex(value),
  ]);
}

/** The metadata of such pairs. */
export function pairsMetadata(pairs: readonly (readonly [string, string])[]): Metadata {
  return new Metadata(
    pairs.map(([key, value]) => [key, key.endsWith("-bin") ? fromHex(value) : value] as const),
  );
}
