import type { Attack } from "../attack.ts";
import { expectRefusal, fileDescriptor } from "../wire/reflection-server.ts";

export const attack: Attack = {
  protocol: "micro",
  description: "reflection with imports 9,000 files deep",
  bounds: { cpuMsPerMB: 3_000, heldPerByte: 60 },
  setup: new URL("../wire/reflect-setup.ts", import.meta.url),
  async run(target) {
    const files = Array.from({ length: 9_000 }, (_, index) =>
      fileDescriptor(`d${index}.proto`, [`d${index + 1}.proto`]),
    );
    files.push(fileDescriptor("d9000.proto", []));
    await expectRefusal(target, "resource_exhausted", () => files);
  },
};
