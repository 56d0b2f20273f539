import type { Attack } from "../attack.ts";
import { hostileServer } from "../wire/hostile-server.ts";
import { flags, frame, hello, preface, types } from "../wire/native.ts";

export const attack: Attack = {
  protocol: "client: native",
  description: "a frame of 4 MiB that is announced and comes byte by byte",
  bounds: { cpuMsPerMB: 1_000, heldPerByte: 1_000 },
  slow: true,
  async run(target) {
    const { address } = await hostileServer(target, (socket) => {
      socket.write(Buffer.concat([preface, hello()]));
      socket.once("data", () => {
        const begun = frame(types.result, { flags: flags.message, call: 1 });
        begun.writeUInt32BE(4 << 20, 0);
        socket.write(begun);
        const dripping = setInterval(() => socket.write("a"), 100);
        socket.once("close", () => clearInterval(dripping));
      });
    });
    // The second one waits behind the frame.
    const calls = [1, 2].map(() => target.call({ method: "say", address, timeoutMs: 25_000 }));
    for (const { code, message, tookMs } of await Promise.all(calls)) {
      if (code !== "unavailable" || message?.includes("of a frame") !== true) {
        throw new Error(`a call ended with ${code} after ${Math.round(tookMs)} ms: ${message}`);
      }
    }
  },
};
