import { type Abortable, unwatchAbort, watchAbort } from "./abort-watch.ts";

/**
 * A signal that fires with the first of several. Unlike a signal of `AbortSignal.any`, which Node
 * keeps for as long as one of its sources, it leaves nothing behind after {@link release}, which
 * must be called.
 */
export class LinkedSignal implements Abortable {
  readonly #controller = new AbortController();
  readonly #sources: readonly (AbortSignal | undefined)[];

  constructor(...sources: readonly (AbortSignal | undefined)[]) {
    this.#sources = sources;
    for (const source of sources) if (source !== undefined) watchAbort(source, this);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  aborted(reason: unknown): void {
    this.#controller.abort(reason);
    this.release();
  }

  release(): void {
    for (const source of this.#sources) if (source !== undefined) unwatchAbort(source, this);
  }
}
