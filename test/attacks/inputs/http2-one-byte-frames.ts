import {
  endHeaders,
  frame,
  grpcHeader,
  preface,
  setting,
  types,
  uint32,
} from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";

const count = 40_000;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "gRPC message in DATA frames of one byte",
  // What Node's HTTP/2 takes for a frame; the pieces of a message themselves are joined at once.
  bounds: { cpuMsPerMB: 12_000, heldPerByte: 40 },
  async run(target) {
    const connection = await target.connect();
    const header = grpcHeader("/micro.attack.v1.TargetService/Say");
    await connection.write(
      Buffer.concat([
        preface,
        setting(4, 1 << 20),
        frame(types.windowUpdate, 0, 0, uint32(1 << 20)),
        frame(types.headers, endHeaders, 1, header),
        frame(types.data, 0, 1, Buffer.of(0, 0, 1, 0, 0)),
      ]),
    );
    const one = frame(types.data, 0, 1, Buffer.of(0));
    for (let sent = 0; sent < count; sent += 10) {
      if (!(await connection.write(Buffer.concat(Array.from({ length: 10 }, () => one))))) return;
      await new Promise(setImmediate);
    }
  },
};
