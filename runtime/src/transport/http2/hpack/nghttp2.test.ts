import { once } from "node:events";
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  endHeaders,
  endStream,
  frame,
  preface,
  setting,
  types,
} from "../../../../../test/hostile/raw-http2.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { HeaderField } from "./header-field.ts";

/**
 * The HPACK of nghttp2, which Node contains, as the peer of this one in both directions. All lists
 * of a run are sent on one connection, so that the tables have a history.
 */

const headerTableSize = 1;
const ack = 1;
const names = ["user-agent", "grpc-timeout", "authorization", "x-a", "x-b", "accept-encoding"];
const name = fc.oneof(
  fc.constantFrom(...names),
  fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/),
);
const value = fc.oneof(
  fc.constantFrom("", "gzip, deflate", "1", "v".repeat(300)),
  fc.stringMatching(/^[!-~\x80-\xff]([ -~\x80-\xff]{0,80}[!-~\x80-\xff])?$/),
);
const headers = fc.dictionary(name, value, { maxKeys: 12 });
const run = fc.record({
  tableBytes: fc.constantFrom(0, 64, 300, 4096, 100_000),
  lists: fc.array(headers, { minLength: 1, maxLength: 25 }),
});

const pseudo = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/micro.test.v1.EchoService/Echo"],
  [":authority", "localhost"],
] as const;

type Lines = readonly (readonly [string, string])[];

function sorted(lines: Lines): Lines {
  return [...lines].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The payloads of the HEADERS frames of a socket; nghttp2 needs no CONTINUATION here. */
class HeaderBlocks {
  readonly blocks: Uint8Array[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #skip: number;

  constructor(socket: Socket, skip: number) {
    this.#skip = skip;
    socket.on("data", (chunk: Buffer) => this.#push(chunk));
  }

  #push(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length < this.#skip) return;
    this.#bytes = this.#bytes.subarray(this.#skip);
    this.#skip = 0;
    while (this.#bytes.length >= 9) {
      const end = 9 + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      if (this.#bytes[3] === types.headers) this.blocks.push(this.#bytes.subarray(9, end));
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}

test("decodes what nghttp2 encodes", async () => {
  await fc.assert(
    fc.asyncProperty(run, async ({ tableBytes, lists }) => {
      let received: HeaderBlocks | undefined;
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        received = new HeaderBlocks(socket, preface.length);
        socket.write(
          Buffer.concat([setting(headerTableSize, tableBytes), frame(types.settings, ack, 0)]),
        );
      }).listen(0);
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const session = connectHttp2(`http://localhost:${port}`);
      session.on("error", () => undefined);
      try {
        await once(session, "remoteSettings");
        for (const list of lists) {
          const stream = session.request({ ...Object.fromEntries(pseudo), ...list });
          stream.on("error", () => undefined);
        }
        await expect.poll(() => received?.blocks.length).toBe(lists.length);
        const decoder = new HpackDecoder({
          maxTableBytes: tableBytes,
          maxListBytes: 65_536,
          maxFields: 256,
        });
        const decoded = received!.blocks.map((block) => decoder.decode(block, 0, block.length));
        for (const [at, list] of lists.entries()) {
          const { fields, isValid } = decoded[at]!;
          expect(isValid).toBe(true);
          expect(sorted(fields.map((it) => [it.name, it.value]))).toEqual(
            sorted([...pseudo, ...Object.entries(list)]),
          );
        }
      } finally {
        session.destroy();
        server.close();
      }
    }),
    { numRuns: 40 },
  );
});

test("nghttp2 decodes what this encodes", async () => {
  await fc.assert(
    fc.asyncProperty(run, async ({ tableBytes, lists }) => {
      const server = createHttp2Server({ settings: { headerTableSize: tableBytes } });
      server.listen(0);
      const received: Lines[] = [];
      server.on("stream", (stream: ServerHttp2Stream, ...[, , lines]: unknown[]) => {
        const raw = lines as string[];
        stream.on("error", () => undefined);
        received.push(
          Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at]!, raw[2 * at + 1]!]),
        );
      });
      await once(server, "listening");
      const socket = connect((server.address() as AddressInfo).port);
      socket.on("error", () => undefined).resume();
      try {
        socket.write(Buffer.concat([preface, frame(types.settings, 0, 0)]));
        await once(socket, "data");
        socket.write(frame(types.settings, ack, 0));
        const encoder = new HpackEncoder();
        encoder.allowTableBytes(tableBytes);
        for (const [at, list] of lists.entries()) {
          const fields = [...pseudo, ...Object.entries(list)].map(
            ([key, text]) => new HeaderField(key, text),
          );
          const length = encoder.encode(undefined, fields);
          const block = Buffer.from(encoder.bytes.subarray(0, length));
          socket.write(frame(types.headers, endHeaders | endStream, 2 * at + 1, block));
        }
        await expect.poll(() => received.length).toBe(lists.length);
        expect(received).toEqual(lists.map((list) => [...pseudo, ...Object.entries(list)]));
      } finally {
        socket.destroy();
        server.close();
      }
    }),
    { numRuns: 40 },
  );
});
