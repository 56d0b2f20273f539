import type { Claim } from "./deduplication.ts";
import type { Delivery } from "./delivery-queue.ts";
import type { DeliveredEvent } from "./event.ts";

/** An attempt in progress. */
export interface Handling {
  readonly delivery: Delivery;
  /** Undefined before the handler is called, and while the event is being dead-lettered. */
  event: DeliveredEvent | undefined;
  /** With deduplication: the right to handle the event. */
  claim: Claim | undefined;
  /** The handler has succeeded, which is being recorded. */
  succeeded: boolean;
  /** Its index in {@link Handlings}; -1 when the attempt has ended. */
  place: number;
}

/**
 * The attempts in progress. An array, because attempts come and go with each event: a `Set` leaves
 * its tables as garbage.
 */
export class Handlings {
  readonly #all: Handling[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(delivery: Delivery): Handling {
    const handling: Handling = {
      delivery,
      event: undefined,
      claim: undefined,
      succeeded: false,
      place: this.#all.length,
    };
    this.#all.push(handling);
    return handling;
  }

  has(handling: Handling): boolean {
    return handling.place >= 0;
  }

  delete(handling: Handling): void {
    const { place } = handling;
    if (place < 0) return;
    handling.place = -1;
    const last = this.#all.pop()!;
    if (last === handling) return;
    this.#all[place] = last;
    last.place = place;
  }

  /** Calls `visit` for each attempt; `visit` may delete the attempt that it gets. */
  forEach(visit: (handling: Handling) => void): void {
    for (let index = this.#all.length - 1; index >= 0; index--) visit(this.#all[index]!);
  }
}
