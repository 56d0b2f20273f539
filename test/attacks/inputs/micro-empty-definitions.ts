import type { Attack } from "../attack.ts";
import { bytesField } from "../wire/protobuf.ts";
import { expectRefusal, fileDescriptor } from "../wire/reflection-server.ts";

const count = 1_900_000;

export const attack: Attack = {
  protocol: "micro",
  description: "reflection with a message of 1,900,000 fields of two bytes",
  bounds: { cpuMsPerMB: 300, heldPerByte: 6 },
  setup: new URL("../wire/reflect-setup.ts", import.meta.url),
  async run(target) {
    const fields = Buffer.alloc(2 * count);
    for (let index = 0; index < count; index++) fields[2 * index] = 0x12;
    const file = fileDescriptor("a.proto", [], bytesField(4, fields));
    await expectRefusal(target, "resource_exhausted", () => [file]);
  },
};
