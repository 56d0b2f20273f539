import { endHeaders, frame, grpcHeader, preface, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { inflatingMessage } from "../wire/grpc.ts";

export const attack: Attack = {
  protocol: "HTTP/2",
  description:
    "gRPC messages of 0.4 and 4 KB that inflate to a thousand times that and become a million objects",
  bounds: { cpuMsPerMB: 12_000, heldPerByte: 200 },
  heapMB: 2_048,
  async run(target) {
    const header = grpcHeader("/micro.attack.v1.TargetService/Chat", { "grpc-encoding": "gzip" });
    const large = inflatingMessage(3);
    // Free of the bound on inflation, and not of that on elements.
    const small = inflatingMessage(3, 300 * 1024);
    const connection = await target.connect();
    await connection.write(Buffer.concat([preface, frame(types.settings, 0, 0)]));
    for (let call = 0; call < 300; call++) {
      const stream = 2 * call + 1;
      const message = call % 10 === 0 ? large : small;
      const open = frame(types.headers, endHeaders, stream, header);
      await connection.write(Buffer.concat([open, frame(types.data, 0, stream, message)]));
      if (call % 10 === 9) await target.ordinaryCall();
    }
  },
};
