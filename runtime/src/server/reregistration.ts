import { onDeclaredSchema } from "../call/schema-digests.ts";

/** Requests within this time lead to one re-registration, in milliseconds. */
const gatherMs = 500;

/**
 * Registers a server again: on request, and when parts of its program report, after its start,
 * further schemas they were built with.
 */
export class Reregistration {
  readonly #renew: () => Promise<void>;
  readonly #forget: () => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #renewal: Promise<void> = Promise.resolve();

  /** @param renew does not reject */
  constructor(parts: readonly object[], renew: () => Promise<void>) {
    this.#renew = renew;
    this.#forget = onDeclaredSchema(parts, () => this.request());
  }

  /** Registers the server again after a delay in milliseconds. */
  request(delayMs: number = gatherMs): void {
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#renewal = this.#renewal.then(() => (this.#stopped ? undefined : this.#renew()));
    }, delayMs).unref();
  }

  /** Resolves when no re-registration is in progress or pending. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#forget();
    clearTimeout(this.#timer);
    return this.#renewal;
  }
}
