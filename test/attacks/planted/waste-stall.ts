import type { Attack } from "../attack.ts";
import { waste } from "./support/waste.ts";

export const attack: Attack = {
  protocol: "HTTP/1.1",
  description: "stalls the event loop",
  bounds: { cpuMsPerMB: 1, heldPerByte: 1 },
  run: (target) => waste(target, { stallMs: 3_000 }),
};
