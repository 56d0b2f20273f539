import type { Attack } from "../attack.ts";
import { unknownBombs } from "../wire/element-bombs.ts";
import { hostileServer } from "../wire/hostile-server.ts";
import { flags, frame, hello, preface, types } from "../wire/native.ts";

export const attack: Attack = {
  protocol: "client: native",
  description: "responses of 4 MiB each that become a million objects",
  bounds: { cpuMsPerMB: 60, heldPerByte: 6 },
  heapMB: 1_024,
  async run(target) {
    for (const bomb of Object.values(unknownBombs)) {
      const payload = bomb();
      const { address } = await hostileServer(target, (socket) => {
        socket.write(Buffer.concat([preface, hello()]));
        socket.once("data", () =>
          socket.write(frame(types.result, { flags: flags.message, call: 1, payload })),
        );
      });
      const { code, message } = await target.call({ method: "say", address, timeoutMs: 20_000 });
      if (code !== "resource_exhausted") throw new Error(`a call ended with ${code}: ${message}`);
    }
  },
};
