import { frame, grpcHeader, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, headersFrame, streamOf } from "../wire/http2.ts";

const connections = 10;
/** All of them fit the window of a connection. */
const streams = 3;
/** Of a stream, within its window. */
const frames = 15;
const messagesPerFrame = 3_276;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "gRPC streams of empty messages that the handler does not read",
  bounds: { cpuMsPerMB: 250, heldPerByte: 4 },
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Ignore");
    for (let index = 0; index < connections; index++) {
      const connection = await connectHttp2(target);
      for (let request = 0; request < streams; request++) {
        const stream = streamOf(request);
        const data = frame(types.data, 0, stream, Buffer.alloc(5 * messagesPerFrame));
        await connection.write(
          Buffer.concat([
            headersFrame(stream, header),
            ...Array.from({ length: frames }, () => data),
          ]),
        );
      }
    }
  },
};
