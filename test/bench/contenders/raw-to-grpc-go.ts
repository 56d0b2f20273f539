import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import type { BenchCaller, Contender } from "../contender.ts";
import { grpcGoServer } from "../grpc-go.ts";

const types = { data: 0, headers: 1, settings: 4, ping: 6, windowUpdate: 8 } as const;
const flags = { end: 1, ack: 1, endHeaders: 4 } as const;
const headBytes = 9;
const maxFrameBytes = 16_384;
const maxWindow = 0x7fff_ffff;
/** What a message has in addition to its payload: its prefix, and two fields with their lengths. */
const messageOverheadBytes = 9;

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

/** An HPACK field that is not indexed. */
function field(name: readonly number[], value: string): Buffer {
  return Buffer.from([...name, value.length, ...Buffer.from(value)]);
}

const header = Buffer.concat([
  Buffer.of(0x83, 0x86),
  field([0x04], "/grpc.testing.TestService/StreamingOutputCall"),
  field([0x01], "localhost"),
  field([0x0f, 0x10], "application/grpc"),
  field([0, 2, ...Buffer.from("te")], "trailers"),
]);

function request(stream: number, size: number, count: number): Buffer {
  const message = Buffer.concat(new Array(count).fill(Buffer.of(0x12, 2, 8, size)));
  const body = Buffer.concat([Buffer.of(0), uint32(message.length), message]);
  const frames = [frame(types.headers, flags.endHeaders, stream, header)];
  for (let at = 0; at < body.length; at += maxFrameBytes) {
    const isLast = at + maxFrameBytes >= body.length;
    const piece = body.subarray(at, at + maxFrameBytes);
    frames.push(frame(types.data, isLast ? flags.end : 0, stream, piece));
  }
  return Buffer.concat(frames);
}

async function connect(address: string): Promise<BenchCaller> {
  const socket = connectTcp(Number(address.slice(address.lastIndexOf(":") + 1)), "127.0.0.1");
  await once(socket, "connect");
  socket.setNoDelay(true);
  socket.write(
    Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      frame(types.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(maxWindow)])),
      frame(types.windowUpdate, 0, 0, uint32(maxWindow - 65_535)),
    ]),
  );
  let rest: Buffer = Buffer.alloc(0);
  let dataBytes = 0;
  let ended = () => {};
  socket.on("data", (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + headBytes <= bytes.length) {
      const next = at + headBytes + bytes.readUIntBE(at, 3);
      if (next > bytes.length) break;
      const type = bytes[at + 3]!;
      const flag = bytes[at + 4]!;
      if (type === types.data) dataBytes += next - at - headBytes;
      else if (type === types.headers && (flag & flags.end) !== 0) ended();
      else if ((type === types.settings || type === types.ping) && flag === 0) {
        const payload =
          type === types.ping ? bytes.subarray(at + headBytes, next) : Buffer.alloc(0);
        socket.write(frame(type, flags.ack, 0, payload));
      }
      at = next;
    }
    rest = bytes.subarray(at);
  });
  let stream = -1;
  return {
    async download({ length }, count) {
      dataBytes = 0;
      const done = new Promise<void>((resolve) => {
        ended = resolve;
      });
      stream += 2;
      socket.write(request(stream, length, count));
      await done;
      return dataBytes / (length + messageOverheadBytes);
    },
    async close() {
      socket.destroy();
    },
  };
}

export const contender: Contender = {
  name: "raw-to-grpc-go",
  about: "finds the frames of a stream from grpc-go's server, and decodes nothing",
  ...grpcGoServer,
  connect,
};
