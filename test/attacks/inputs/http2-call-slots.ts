import { endStream, frame, grpcHeader, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, headersFrame, streamOf } from "../wire/http2.ts";
import { checkOthersAreServed, holdMessage } from "../wire/occupy.ts";

/** As many as a connection may have open, twice. */
const streams = 1_000;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "2,000 gRPC calls that take long, on two connections",
  // What Node and connect-node make of a request, of which one turn may parse a thousand.
  bounds: { cpuMsPerMB: 40_000, heldPerByte: 400, stallMs: 2_500 },
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Hold");
    const body = Buffer.concat([Buffer.of(0, 0, 0, 0, holdMessage.length), holdMessage]);
    for (let count = 0; count < 2; count++) {
      const connection = await connectHttp2(target);
      for (let index = 0; index < streams; index++) {
        const stream = streamOf(index);
        const message = frame(types.data, endStream, stream, body);
        await connection.write(Buffer.concat([headersFrame(stream, header), message]));
      }
    }
    await checkOthersAreServed(target);
  },
};
