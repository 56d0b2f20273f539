import { grpcHeader } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, headersFrame, streamOf } from "../wire/http2.ts";

const streams = 1_000;
const connections = 2;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "headers of 2,000 gRPC requests on 2 connections, without any body",
  // What a stream costs, all of which end in one turn with their connection.
  bounds: { cpuMsPerMB: 8_000, heldPerByte: 100 },
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Say");
    for (let count = 0; count < connections; count++) {
      const connection = await connectHttp2(target);
      for (let index = 0; index < streams; index += 100) {
        const heads = Array.from({ length: 100 }, (_, at) =>
          headersFrame(streamOf(index + at), header),
        );
        await connection.write(Buffer.concat(heads));
      }
    }
    await target.usage();
  },
};
