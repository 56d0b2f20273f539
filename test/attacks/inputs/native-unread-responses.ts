import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "../attack.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";
import { varintField } from "../wire/protobuf.ts";

const calls = 1_000;
const responseBytes = 1 << 20;

export const attack: Attack = {
  protocol: "native",
  description: "1,000 calls for responses of 1 MiB, none of which is read",
  // 64 responses at a time, and 64 MiB that wait: beyond, responses become errors.
  bounds: { cpuMsPerMB: 60_000, heldPerByte: 12_000, stallMs: 500 },
  async run(target) {
    const connection = await target.connect();
    connection.ignoreResponses();
    await connection.write(Buffer.concat([preface, hello(), methodFrame(1, "Big")]));
    const payload = varintField(1, responseBytes);
    for (let call = 1; call <= calls; call++) {
      const fields = { flags: flags.message | flags.end, method: 1, call, payload };
      if (!(await connection.write(frame(types.open, fields)))) return;
    }
    await sleep(1_000);
  },
};
