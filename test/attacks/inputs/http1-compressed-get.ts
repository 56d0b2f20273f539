import { gzipSync } from "node:zlib";
import type { Attack } from "../attack.ts";

const items = gzipSync(Buffer.alloc(4 * 1024 * 1024 - 1_024, Buffer.of(3 * 8 + 2, 0)), {
  level: 9,
});

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "Connect GET, as any web page can cause it, whose message of 4 KB inflates to 4 MiB",
  bounds: { cpuMsPerMB: 3_000, heldPerByte: 40 },
  heapMB: 2_048,
  async run(target) {
    const message = items.toString("base64url");
    const path = `/micro.attack.v1.TargetService/Say?connect=v1&encoding=proto&base64=1&compression=gzip&message=${message}`;
    for (let sent = 0; sent < 20; sent++) {
      const connection = await target.connect();
      connection.keepResponses();
      await connection.write(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      );
      await connection.closed;
      const response = connection.received.toString("latin1");
      if (!response.startsWith("HTTP/1.1 400 ")) throw new Error(response.slice(0, 300));
    }
  },
};
