import type { Attack } from "../attack.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";
import { varintField } from "../wire/protobuf.ts";
import { settled } from "../wire/settled.ts";

const connections = 40;
const calls = 64;

export const attack: Attack = {
  protocol: "native",
  description: "64 calls for responses of 1 MiB on each of 40 connections, none of which is read",
  // All connections hold 512 MiB together, and each 1 MiB.
  bounds: { cpuMsPerMB: 220_000, heldPerByte: 10_500, stallMs: 600 },
  async run(target) {
    const payload = varintField(1, 1 << 20);
    const requests = Array.from({ length: calls }, (_, index) =>
      frame(types.open, {
        flags: flags.message | flags.end,
        method: 1,
        call: index + 1,
        payload,
      }),
    );
    const bytes = Buffer.concat([preface, hello(), methodFrame(1, "Big"), ...requests]);
    for (let count = 0; count < connections; count++) {
      const connection = await target.connect();
      connection.ignoreResponses();
      await connection.write(bytes);
    }
    await settled(target);
  },
};
