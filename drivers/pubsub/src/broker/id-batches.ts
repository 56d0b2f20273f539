import { asMicroError } from "@micro-es/runtime";
import { type Backoff, backoffMs, pauseUntilAborted } from "@micro-es/runtime/driver";
import { canPass } from "../link/failure.ts";

/** The most ids of one request: they have up to 200 bytes, and a request 512 KiB. */
const mostIds = 2_000;
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 2_000, jitter: 0.3 };

/** Options of {@link IdBatches}. */
export interface IdBatchesOptions {
  send(ids: readonly string[]): Promise<unknown>;
  /** The ids were sent, or cannot be. */
  done?(ids: readonly string[]): void;
  /** Called when the ids cannot be sent. */
  failed(error: unknown): void;
  /** Fires when failed requests are no longer repeated. */
  readonly stop: AbortSignal;
}

/** Sends ids of one turn in one request, and repeats it while the service is away. */
export class IdBatches {
  readonly #options: IdBatchesOptions;
  #waiting: string[] = [];
  #flushing: Promise<void> | undefined;

  constructor(options: IdBatchesOptions) {
    this.#options = options;
  }

  add(id: string): void {
    this.#waiting.push(id);
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  /** Resolves when all ids were sent, or cannot be. */
  async settled(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let failures = 0; this.#waiting.length > 0; ) {
      const ids = this.#waiting.splice(0, mostIds);
      try {
        await this.#options.send(ids);
        failures = 0;
      } catch (error) {
        const { stop } = this.#options;
        if (canPass(asMicroError(error).code) && !stop.aborted) {
          this.#waiting.unshift(...ids);
          await pauseUntilAborted(backoffMs(backoff, ++failures, Math.random), stop);
          continue;
        }
        this.#options.failed(error);
      }
      this.#options.done?.(ids);
    }
  }
}
