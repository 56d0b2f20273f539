import type { Attack } from "../attack.ts";
import { hostileServer, writeSingly } from "../wire/hostile-server.ts";
import { flags, frame, hello, preface, types } from "../wire/native.ts";

const bytes = 200_000;

export const attack: Attack = {
  protocol: "client: native",
  description: "response of a server in segments of one byte",
  // What Node takes for a read; the bytes themselves are written to one buffer.
  bounds: { cpuMsPerMB: 20_000, heldPerByte: 4 },
  async run(target) {
    const payload = Buffer.concat([
      Buffer.from([0x0a, 0xc0, 0x9a, 0x0c]),
      Buffer.alloc(bytes, "a"),
    ]);
    const { address } = await hostileServer(target, (socket) => {
      socket.write(Buffer.concat([preface, hello()]));
      socket.once("data", () => {
        const response = frame(types.result, { flags: flags.message, call: 1, payload });
        void writeSingly(socket, response);
      });
    });
    const { code } = await target.call({ method: "say", address, timeoutMs: 60_000 });
    if (code !== "ok") throw new Error(`the call ended with ${code}`);
  },
};
