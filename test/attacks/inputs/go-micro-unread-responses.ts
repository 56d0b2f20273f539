import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "../attack.ts";
import { goMicroHead } from "../wire/http1.ts";
import { varintField } from "../wire/protobuf.ts";

const calls = 1_000;
const body = varintField(1, 1 << 20);

export const attack: Attack = {
  protocol: "go-micro",
  description: "1,000 pipelined calls for responses of 1 MiB, none of which is read",
  // Eight calls of a connection are at work.
  bounds: { cpuMsPerMB: 5_000, heldPerByte: 200 },
  async run(target) {
    const connection = await target.connect();
    connection.ignoreResponses();
    const head = goMicroHead(
      "Big",
      "Content-Type: application/protobuf",
      `Content-Length: ${body.length}`,
    );
    const request = Buffer.concat([Buffer.from(head), body]);
    for (let call = 0; call < calls; call++) {
      if (!(await connection.write(request, 50))) return;
    }
    await sleep(1_000);
  },
};
