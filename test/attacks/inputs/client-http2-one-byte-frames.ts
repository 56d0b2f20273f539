import {
  endHeaders,
  endStream,
  frame,
  headerLine,
  setting,
  types,
} from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { hostileServer, onHttp2Request } from "../wire/hostile-server.ts";

const count = 40_000;
const ack = 1;

export const attack: Attack = {
  protocol: "client: HTTP",
  description: "gRPC response of a server in DATA frames of one byte",
  // What Node's HTTP/2 takes for a frame; the pieces of a message themselves are joined at once.
  bounds: { cpuMsPerMB: 12_000, heldPerByte: 40 },
  async run(target) {
    const { address } = await hostileServer(target, (socket) => {
      socket.write(Buffer.concat([setting(4, 1 << 20), frame(types.settings, ack, 0)]));
      onHttp2Request(socket, async () => {
        const header = Buffer.concat([
          headerLine(":status", "200"),
          headerLine("content-type", "application/grpc"),
        ]);
        socket.write(frame(types.headers, endHeaders, 1, header));
        const message = Buffer.concat([
          Buffer.from([0x0a, 0xbc, 0xb8, 0x02]),
          Buffer.alloc(count - 4, "a"),
        ]);
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(message.length, 1);
        const bytes = Buffer.concat([prefix, message]);
        for (let at = 0; at < bytes.length && socket.writable; at += 10) {
          const singly = Array.from(bytes.subarray(at, at + 10), (byte) =>
            frame(types.data, 0, 1, Buffer.of(byte)),
          );
          socket.write(Buffer.concat(singly));
          await new Promise(setImmediate);
        }
        const trailers = headerLine("grpc-status", "0");
        socket.write(frame(types.headers, endHeaders | endStream, 1, trailers));
      });
    });
    const { code, message } = await target.call({
      method: "say",
      address: `http://${address}`,
      timeoutMs: 60_000,
    });
    if (code !== "ok") throw new Error(`the call ended with ${code}: ${message}`);
  },
};
