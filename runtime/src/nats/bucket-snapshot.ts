import { asMicroError, type MicroError } from "../error.ts";
import type { BucketEntry, NatsBucket } from "./bucket.ts";
import { BucketWatch, type BucketWatchOptions } from "./bucket-watch.ts";

/** The entries of a bucket at one time. */
export interface BucketSnapshot {
  /** In no order, marks of deletions included. */
  readonly entries: readonly BucketEntry[];
  /** When that was so, on the server's clock, in milliseconds since 1970. */
  readonly serverTime: number;
}

/**
 * Reads all entries of a bucket at once.
 * @throws MicroError `unavailable` when it cannot be read; `canceled`, or as its reason says, when a signal fires.
 */
export function snapshotOf(
  bucket: NatsBucket,
  signals: readonly (AbortSignal | undefined)[],
  options: BucketWatchOptions = {},
): Promise<BucketSnapshot> {
  return new Promise((resolve, reject) => {
    const fired = signals.find((signal) => signal?.aborted === true);
    if (fired !== undefined) throw canceled(fired);
    const watch = new BucketWatch(
      bucket,
      ">",
      {
        snapshot: (entries, serverTime) => {
          end();
          resolve({ entries, serverTime });
        },
        change: () => {},
        failed: (error) => {
          end();
          reject(error);
        },
      },
      options,
    );
    const abort = (event: Event) => {
      end();
      reject(canceled(event.target as AbortSignal));
    };
    const end = () => {
      watch.close();
      for (const signal of signals) signal?.removeEventListener("abort", abort);
    };
    for (const signal of signals) signal?.addEventListener("abort", abort, { once: true });
  });
}

function canceled(signal: AbortSignal): MicroError {
  return asMicroError(signal.reason, "canceled", { outcome: "not-executed" });
}
