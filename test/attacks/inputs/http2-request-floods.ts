import { endHeaders, endStream, frame, grpcHeader, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, streamOf } from "../wire/http2.ts";

const mostBytes = 10e6;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "gRPC requests that end at once, one after another, on one connection",
  bounds: { cpuMsPerMB: 1_500, heldPerByte: 1 },
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Say");
    const connection = await connectHttp2(target);
    for (let round = 0; connection.socket.bytesWritten < mostBytes; round++) {
      const requests = Array.from({ length: 1_000 }, (_, at) =>
        frame(types.headers, endHeaders | endStream, streamOf(1_000 * round + at), header),
      );
      if (!(await connection.write(Buffer.concat(requests)))) return;
    }
  },
};
