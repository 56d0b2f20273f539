import type { Attack } from "../attack.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";

const connections = 1_500;

export const attack: Attack = {
  protocol: "native",
  description: "1,500 connections that announce a frame of 4 MiB and do not send it",
  // The most of it is what a connection costs.
  bounds: { cpuMsPerMB: 20_000, heldPerByte: 400 },
  async run(target) {
    const begun = frame(types.open, { flags: flags.message | flags.stream, method: 1, call: 1 });
    begun.writeUInt32BE(4 << 20, 0);
    const bytes = Buffer.concat([preface, hello(), methodFrame(1, "Ignore"), begun]);
    for (let count = 0; count < connections; count++) {
      const connection = await target.connect();
      await connection.write(bytes);
    }
  },
};
