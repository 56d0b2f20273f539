import type { Attack } from "../attack.ts";
import { waste } from "./support/waste.ts";

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "exceeds its bound for CPU time",
  bounds: { cpuMsPerMB: 1, heldPerByte: 1, stallMs: 10_000 },
  run: (target) => waste(target, { cpuMs: 4_000 }),
};
