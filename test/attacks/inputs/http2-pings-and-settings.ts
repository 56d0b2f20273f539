import { frame, setting, types } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, floodUntilClosed } from "../wire/http2.ts";

const floods = [frame(types.ping, 0, 0, Buffer.alloc(8)), setting(4, 65_535)].map((one) =>
  Buffer.concat(Array.from({ length: 100 }, () => one)),
);

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "PING and SETTINGS without end, whose acknowledgements are read and are not",
  bounds: { cpuMsPerMB: 60, heldPerByte: 1 },
  async run(target) {
    for (const flood of floods) {
      for (const reads of [true, false]) {
        const connection = await connectHttp2(target);
        if (!reads) connection.ignoreResponses();
        await floodUntilClosed(connection, 20e6, () => flood);
      }
    }
  },
};
