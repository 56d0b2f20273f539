import type { Attack } from "../attack.ts";
import { jsonBombs } from "../wire/element-bombs.ts";
import { httpHead } from "../wire/http1.ts";

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "Connect requests of 4 MiB of JSON each that take long to read",
  bounds: { cpuMsPerMB: 90, heldPerByte: 4 },
  heapMB: 1_024,
  async run(target) {
    for (const bomb of Object.values(jsonBombs)) {
      const body = Buffer.from(bomb());
      const connection = await target.connect();
      connection.keepResponses();
      const type = "Content-Type: application/json";
      await connection.write(
        httpHead("Say", type, `Content-Length: ${body.length}`, "Connection: close"),
      );
      await connection.write(body, 10_000);
      await connection.closed;
      if (!/^HTTP\/1\.1 (?:200|400|429) /.test(connection.received.toString("latin1"))) {
        throw new Error(`the response is ${connection.received.subarray(0, 300)}`);
      }
    }
  },
};
