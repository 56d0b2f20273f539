import { abortError, listenForAbort, throwIfAborted } from "@micro-es/runtime/driver";
import type { BucketEntry, NatsBucket } from "./bucket.ts";
import { BucketWatch, type BucketWatchOptions } from "./bucket-watch.ts";

/** The entries of a bucket at one time. */
export interface BucketSnapshot {
  /** In no particular order, deletion markers included. */
  readonly entries: readonly BucketEntry[];
  /** The time of the snapshot on the server's clock, in milliseconds since 1970. */
  readonly serverTime: number;
}

/**
 * Reads all entries of a bucket at once.
 * @throws MicroError `unavailable` when it cannot be read; `canceled`, or the error from the
 * signal's reason, when a signal fires.
 */
export function snapshotOf(
  bucket: NatsBucket,
  signals: readonly (AbortSignal | undefined)[],
  options: BucketWatchOptions = {},
): Promise<BucketSnapshot> {
  return new Promise((resolve, reject) => {
    for (const signal of signals) throwIfAborted(signal);
    const end = () => {
      watch.close();
      stopListening();
    };
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
    const stopListening = listenForAbort(signals, (reason) => {
      watch.close();
      reject(abortError(reason));
    });
  });
}
