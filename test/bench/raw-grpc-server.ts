import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { parseArgs } from "node:util";

/**
 * The least that a gRPC server on a socket of Node can do: it finds where requests end, and
 * responds to each with the same bytes, in one write for each read. It decodes neither headers nor
 * messages, and has no flow control, limits or errors. Its processor time is the floor of every
 * server on Node's sockets under the same load. Prints where it listens, and stops on SIGTERM.
 */

const { values } = parseArgs({ options: { cert: { type: "string" }, key: { type: "string" } } });

const types = { data: 0, headers: 1, settings: 4, ping: 6, windowUpdate: 8 } as const;
const flags = { end: 1, ack: 1, endHeaders: 4 } as const;
const headBytes = 9;
const prefaceBytes = 24;
const maxWindow = 0x7fff_ffff;

function frame(type: number, flag: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flag;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** An HPACK field that is not indexed, whose name is a text or an index of the static table. */
function field(name: string | Buffer, value: string): Buffer {
  const start =
    typeof name === "string" ? Buffer.from([0, name.length, ...Buffer.from(name)]) : name;
  return Buffer.concat([start, Buffer.from([value.length, ...Buffer.from(value)])]);
}

const statusOk = Buffer.of(0x88);
const contentType = Buffer.of(0x0f, 0x10);
const message = Buffer.concat([Buffer.of(0x0a, 0x42, 0x12, 0x40), Buffer.alloc(64, 1)]);
const header = frame(
  types.headers,
  flags.endHeaders,
  0,
  Buffer.concat([statusOk, field(contentType, "application/grpc")]),
);
const data = frame(
  types.data,
  0,
  0,
  Buffer.concat([Buffer.of(0), uint32(message.length), message]),
);
const trailers = frame(types.headers, flags.endHeaders | flags.end, 0, field("grpc-status", "0"));
const response = Buffer.concat([header, data, trailers]);
/** Where the numbers of its stream are. */
const streamAt = [5, header.length + 5, header.length + data.length + 5] as const;
const greeting = Buffer.concat([
  frame(types.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(maxWindow)])),
  frame(types.windowUpdate, 0, 0, uint32(maxWindow - 65_535)),
  frame(types.settings, flags.ack, 0, Buffer.alloc(0)),
]);

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.write(greeting);
  let rest: Buffer = Buffer.alloc(0);
  let at = prefaceBytes;
  socket.on("data", (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const out = Buffer.allocUnsafe(4 * bytes.length + response.length);
    let end = 0;
    while (at + headBytes <= bytes.length) {
      const next = at + headBytes + bytes.readUIntBE(at, 3);
      if (next > bytes.length) break;
      const type = bytes[at + 3]!;
      const flag = bytes[at + 4]!;
      if (type === types.data && (flag & flags.end) !== 0) {
        out.set(response, end);
        const stream = bytes.readUInt32BE(at + 5);
        for (const offset of streamAt) out.writeUInt32BE(stream, end + offset);
        end += response.length;
      } else if (type === types.ping && (flag & flags.ack) === 0) {
        out.set(bytes.subarray(at, next), end);
        out[end + 4] = flags.ack;
        end += next - at;
      }
      at = next;
    }
    rest = at < bytes.length ? bytes.subarray(at) : Buffer.alloc(0);
    at = Math.max(0, at - bytes.length);
    if (end > 0) socket.write(out.subarray(0, end));
  });
}

const server =
  values.cert === undefined || values.key === undefined
    ? createServer(serve)
    : createTlsServer(
        { cert: readFileSync(values.cert), key: readFileSync(values.key), ALPNProtocols: ["h2"] },
        serve,
      );
server.listen(0, "127.0.0.1", () => {
  console.log(`listening 127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on("SIGTERM", () => process.exit());
