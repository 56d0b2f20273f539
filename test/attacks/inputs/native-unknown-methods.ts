import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "../attack.ts";
import { flags, frame, hello, methodFrame, preface, types } from "../wire/native.ts";

const calls = 30_000;
const wanted = flags.message | flags.end;

export const attack: Attack = {
  protocol: "native",
  description: "30,000 calls of methods that do not exist, whose names resemble those that do",
  bounds: { cpuMsPerMB: 3_000, heldPerByte: 8 },
  async run(target) {
    const connection = await target.connect();
    let last: Buffer = Buffer.alloc(0);
    connection.socket.on("data", (chunk: Buffer) => {
      last = chunk.subarray(-16);
    });
    // As many letters more than a method has as are still taken for typing errors.
    const names = Array.from({ length: 200 }, (_, index) => `Say${"x".repeat(15)}${index}`);
    const named = names.map((name, index) => methodFrame(index + 1, name));
    await connection.write(Buffer.concat([preface, hello(), ...named]));
    for (let call = 0; call < calls; call += 1_000) {
      const some = Array.from({ length: 1_000 }, (_, index) =>
        frame(types.open, {
          flags: wanted,
          method: 1 + (index % names.length),
          call: call + index + 1,
        }),
      );
      await connection.write(Buffer.concat(some), 30_000);
    }
    await connection.write(frame(types.ping, { aux: 1 }));
    const pong = frame(types.pong, { aux: 1 });
    while (!last.equals(pong)) {
      if (!connection.isOpen) throw new Error("the connection was closed");
      await sleep(50);
    }
  },
};
