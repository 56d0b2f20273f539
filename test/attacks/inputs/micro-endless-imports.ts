import type { Attack } from "../attack.ts";
import { expectRefusal, fileDescriptor } from "../wire/reflection-server.ts";

export const attack: Attack = {
  protocol: "micro",
  description: "reflection whose files import others without end",
  // A question and a response of fifty bytes for each file.
  bounds: { cpuMsPerMB: 40_000, heldPerByte: 60 },
  setup: new URL("../wire/reflect-setup.ts", import.meta.url),
  async run(target) {
    let count = 0;
    await expectRefusal(target, "resource_exhausted", () => [
      fileDescriptor(count === 0 ? "a.proto" : `n${count}.proto`, [`n${++count}.proto`]),
    ]);
  },
};
