import { type Abortable, unwatchAbort, watchAbort } from "../abort-watch.ts";

/** One signal for two. {@link release} must follow, or the two keep it. */
export class LinkedSignal implements Abortable {
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];

  constructor(...sources: readonly AbortSignal[]) {
    this.#sources = sources;
    for (const source of sources) {
      if (source.aborted) this.#controller.abort(source.reason);
      else watchAbort(source, this);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  aborted(reason: unknown): void {
    this.#controller.abort(reason);
    this.release();
  }

  release(): void {
    for (const source of this.#sources) unwatchAbort(source, this);
  }
}
