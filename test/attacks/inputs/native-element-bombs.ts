import type { Attack } from "../attack.ts";
import { elementBombs } from "../wire/element-bombs.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";

export const attack: Attack = {
  protocol: "native",
  description: "requests of 4 MiB each that become millions of objects",
  bounds: { cpuMsPerMB: 60, heldPerByte: 4 },
  heapMB: 1_024,
  async run(target) {
    const connection = await target.connect();
    connection.keepResponses();
    await connection.write(Buffer.concat([preface, hello(), methodFrame(1, "Say")]));
    const bombs = Object.values(elementBombs);
    for (const [index, bomb] of bombs.entries()) {
      const fields = {
        flags: flags.message | flags.end,
        method: 1,
        call: index + 1,
        payload: bomb(),
      };
      if (!(await connection.write(frame(types.open, fields), 10_000))) break;
      await target.ordinaryCall();
    }
    if (!connection.isOpen) throw new Error("a request of too many elements ended the connection");
    const refusals = connection.received.toString("latin1").match(/maxMessageElements/g) ?? [];
    // Of the largest message, booleans are within the limit.
    if (refusals.length !== bombs.length - 1) throw new Error(`${refusals.length} were refused`);
  },
};
