import { frame, grpcHeader, types, uint32 } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, headersFrame, respondToPing, streamOf } from "../wire/http2.ts";

const streams = 400;
const announced = 4 * 1024 * 1024;
const piece = Buffer.alloc(16_000);
const piecesOfEach = 25;

export const attack: Attack = {
  protocol: "HTTP/2",
  description:
    "gRPC messages of 4 MiB, of each of which 400 KB come, on a connection that responds to PING",
  // 64 MiB for the connection, in buffers that double.
  bounds: { cpuMsPerMB: 60, heldPerByte: 1.2 },
  async run(target) {
    const connection = await connectHttp2(target);
    respondToPing(connection);
    const header = grpcHeader("/micro.attack.v1.TargetService/Say");
    const prefix = Buffer.concat([Buffer.of(0), uint32(announced)]);
    for (let index = 0; index < streams; index++) {
      const stream = streamOf(index);
      await connection.write(
        Buffer.concat([headersFrame(stream, header), frame(types.data, 0, stream, prefix)]),
      );
    }
    for (let round = 0; round < piecesOfEach; round++) {
      for (let index = 0; index < streams; index++) {
        if (!(await connection.write(frame(types.data, 0, streamOf(index), piece)))) return;
      }
    }
  },
};
