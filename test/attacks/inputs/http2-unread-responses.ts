import { endStream, frame, grpcHeader, preface, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { headersFrame, streamOf } from "../wire/http2.ts";
import { varintField } from "../wire/protobuf.ts";
import { settled } from "../wire/settled.ts";

const connections = 12;
const calls = 400;

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "4,800 gRPC calls for responses of 1 MiB on 12 connections, none of which is read",
  // All connections hold 512 MiB together, and each 1 MiB. One turn may serve all connections.
  bounds: { cpuMsPerMB: 30_000, heldPerByte: 750, stallMs: 2_500 },
  async run(target) {
    const message = varintField(1, 1 << 20);
    const body = Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]);
    const header = grpcHeader("/micro.attack.v1.TargetService/Big");
    for (let count = 0; count < connections; count++) {
      const connection = await target.connect();
      connection.ignoreResponses();
      // With the windows that HTTP/2 begins with, nothing chokes the socket.
      await connection.write(Buffer.concat([preface, frame(types.settings, 0, 0)]));
      for (let index = 0; index < calls; index++) {
        const stream = streamOf(index);
        const request = [headersFrame(stream, header), frame(types.data, endStream, stream, body)];
        if (!(await connection.write(Buffer.concat(request)))) break;
      }
    }
    await settled(target);
  },
};
