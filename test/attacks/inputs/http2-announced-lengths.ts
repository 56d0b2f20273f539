import { headerLine } from "../../hostile/raw-http2.ts";
import type { Attack } from "../attack.ts";
import { connectHttp2, headersFrame, streamOf } from "../wire/http2.ts";

const lines = {
  ":method": "POST",
  ":scheme": "http",
  ":path": "/micro.attack.v1.TargetService/Say",
  ":authority": "localhost",
  "content-type": "application/json",
  "content-length": String(4 * 1024 * 1024),
};

export const attack: Attack = {
  protocol: "HTTP/2",
  description: "Connect requests that announce 4 MiB each and send none of them",
  bounds: { cpuMsPerMB: 4_000, heldPerByte: 150 },
  async run(target) {
    const connection = await connectHttp2(target);
    const header = Buffer.concat(
      Object.entries(lines).map(([name, value]) => headerLine(name, value)),
    );
    for (let index = 0; index < 1_000; index++) {
      await connection.write(headersFrame(streamOf(index), header));
    }
    await target.usage();
  },
};
