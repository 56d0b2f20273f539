import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "../attack.ts";
import { hostileServer } from "../wire/hostile-server.ts";
import { frame, hello, preface, types } from "../wire/native.ts";

const pings = Buffer.concat(Array.from({ length: 16_384 }, () => frame(types.ping)));

export const attack: Attack = {
  protocol: "client: native",
  description: "PINGs of a server that does not read the PONGs",
  bounds: { cpuMsPerMB: 300, heldPerByte: 0.05 },
  async run(target) {
    const { address } = await hostileServer(target, async (socket) => {
      socket.write(Buffer.concat([preface, hello()]));
      socket.pause();
      for (let sent = 0; sent < 240 && socket.writable; sent++) {
        if (!socket.write(pings)) {
          await Promise.race([
            new Promise((resolve) => socket.once("drain", resolve)),
            sleep(2_000),
          ]);
        }
      }
    });
    await target.call({ method: "say", address, timeoutMs: 4_000 });
  },
};
