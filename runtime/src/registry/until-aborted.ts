import { MicroError } from "../error.ts";

/**
 * The promise's result, unless the signal comes first.
 * @throws MicroError `canceled` or `deadline_exceeded` by the signal.
 */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  let abort: (() => void) | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        abort = () => reject(MicroError.from(signal.reason, "canceled"));
        signal.addEventListener("abort", abort);
        if (signal.aborted) abort();
      }),
    ]);
  } finally {
    if (abort !== undefined) signal.removeEventListener("abort", abort);
  }
}
