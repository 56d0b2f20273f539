import type { Attack } from "../attack.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";

const payload = Buffer.alloc(256 * 1024, Buffer.of(0x1a, 0));

export const attack: Attack = {
  protocol: "native",
  description: "stream messages of empty sub-messages that the handler does not read",
  bounds: { cpuMsPerMB: 1_000, heldPerByte: 8 },
  heapMB: 1_024,
  async run(target) {
    const connection = await target.connect();
    await connection.write(Buffer.concat([preface, hello(), methodFrame(1, "Ignore")]));
    for (let call = 1; call <= 40; call++) {
      const fields = { flags: flags.message | flags.stream, method: 1, call, payload };
      if (!(await connection.write(frame(types.open, fields)))) return;
    }
  },
};
