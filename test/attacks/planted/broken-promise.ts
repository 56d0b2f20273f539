import type { Attack } from "../attack.ts";

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "finds that what must stay true is not",
  bounds: { cpuMsPerMB: 1, heldPerByte: 1 },
  async run(target) {
    target.count(1);
    throw new Error("the request was accepted");
  },
};
