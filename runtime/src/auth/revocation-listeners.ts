import { messageOf } from "../base/error.ts";
import type { Account } from "../call/account.ts";
import type { RevocationListener } from "./auth.ts";

/** The listeners of an `Auth` that ends accounts early. */
export class RevocationListeners {
  readonly #listeners = new Set<RevocationListener>();

  /** Implements `Auth.onRevoked`. */
  add(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A listener that throws must not keep the others from hearing of the revocation. */
  tell(hasEnded: (account: Account) => boolean): void {
    for (const listener of this.#listeners) {
      try {
        listener(hasEnded);
      } catch (error) {
        process.emitWarning(`a revocation listener threw: ${messageOf(error)}`, "MicroWarning");
      }
    }
  }
}
