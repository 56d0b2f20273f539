import { setTimeout as sleep } from "node:timers/promises";
import type { Target } from "../target.ts";

/** Waits until the target has dealt with what was sent: until it computes hardly anything. */
export async function settled(target: Target): Promise<void> {
  let { cpuMs: before } = await target.usage();
  for (let left = 40; left > 0; left--) {
    await sleep(500);
    const { cpuMs } = await target.usage();
    if (cpuMs - before < 20) return;
    before = cpuMs;
  }
}
