import type { Attack } from "../attack.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";
import { checkOthersAreServed, holdMessage } from "../wire/occupy.ts";

export const attack: Attack = {
  protocol: "native",
  description: "2,000 calls that take long, on one connection",
  bounds: { cpuMsPerMB: 10_000, heldPerByte: 100 },
  async run(target) {
    const connection = await target.connect();
    const calls = Array.from({ length: 2_000 }, (_, index) =>
      frame(types.open, {
        flags: flags.message | flags.end,
        method: 1,
        call: index + 1,
        payload: holdMessage,
      }),
    );
    await connection.write(Buffer.concat([preface, hello(), methodFrame(1, "Hold"), ...calls]));
    await checkOthersAreServed(target);
  },
};
