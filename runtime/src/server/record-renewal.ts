import { onDeclaredSchema } from "../built-with.ts";

/** The time in which schemas of clients that are made one after another are told to the registry at once. */
const gatherMs = 500;

/** Has a server registered again when parts of its program say, after its start, what else they were built with. */
export class RecordRenewal {
  readonly #forget: () => void;
  #timer: NodeJS.Timeout | undefined;
  #renewal: Promise<void> = Promise.resolve();

  /** @param renew does not reject */
  constructor(parts: readonly object[], renew: () => Promise<void>) {
    this.#forget = onDeclaredSchema(parts, () => {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#renewal = this.#renewal.then(renew);
      }, gatherMs).unref();
    });
  }

  /** Resolves when no renewal is under way, and none will be. */
  stop(): Promise<void> {
    this.#forget();
    clearTimeout(this.#timer);
    return this.#renewal;
  }
}
