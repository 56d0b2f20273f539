import { MicroError } from "../base/error.ts";
import type { Awaitable } from "../call/call.ts";

/**
 * Resolves as the work does, unless that takes longer.
 * @throws MicroError `unavailable`, `not-executed`, after that time.
 */
export async function within<T>(ms: number, work: Awaitable<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(ms)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooSlow(ms: number): MicroError {
  return new MicroError("unavailable", `no decision within ${ms} ms`, { outcome: "not-executed" });
}
