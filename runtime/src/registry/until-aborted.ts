import { type Abortable, unwatchAbort, watchAbort } from "../abort-watch.ts";
import { asMicroError } from "../error.ts";

/**
 * The promise's result, unless the signal comes first.
 * @throws MicroError `canceled` or `deadline_exceeded` by the signal.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const wait: Abortable = { aborted: (reason) => reject(asMicroError(reason, "canceled")) };
    if (signal.aborted) wait.aborted(signal.reason);
    else watchAbort(signal, wait);
    promise.then(resolve, reject).finally(() => unwatchAbort(signal, wait));
  });
}
