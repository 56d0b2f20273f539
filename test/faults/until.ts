import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until a condition holds, and returns how long that took in milliseconds; infinity if it did
 * not hold in time. A condition that throws does not hold.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  withinMs: number,
  everyMs = 10,
): Promise<number> {
  const began = performance.now();
  for (;;) {
    const holds = await Promise.resolve()
      .then(condition)
      .catch(() => false);
    const tookMs = performance.now() - began;
    if (holds) return tookMs;
    if (tookMs >= withinMs) return Number.POSITIVE_INFINITY;
    await sleep(everyMs);
  }
}
