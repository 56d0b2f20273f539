import assert from "node:assert/strict";
import type { EventHandler, IncomingEvent } from "@micro-es/runtime";

/** Records the handlings of events: every handling that began, and how it ended. */
export class HandlingLedger {
  readonly #published = new Set<string>();
  /** By the id of an event, the `attempt` of each of its handlings. */
  readonly #begun = new Map<string, number[]>();
  readonly #handled = new Map<string, number>();

  published(id: string): void {
    this.#published.add(id);
  }

  /** A handler that records when it begins, and when it has handled the event. */
  handler(handle: EventHandler): EventHandler {
    return async (event) => {
      this.#begin(event);
      await handle(event);
      this.#handled.set(event.id, this.timesHandled(event.id) + 1);
    };
  }

  /** The `attempt` of each begun handling of an event. */
  attempts(id: string): readonly number[] {
    return this.#begun.get(id) ?? [];
  }

  timesHandled(id: string): number {
    return this.#handled.get(id) ?? 0;
  }

  /** Whether every event was handled or is among these dead letters. */
  isSettled(deadLetters: readonly string[] = []): boolean {
    return this.#lost(deadLetters).length === 0;
  }

  /**
   * @param deadLetters ids of the events that were stored as dead letters.
   * @throws AssertionError when an event was lost, or when its attempts do not count its handlings.
   */
  check(maxDeliveries: number, deadLetters: readonly string[] = []): void {
    assert.deepEqual(this.#lost(deadLetters), [], "unhandled events are gone");
    for (const [id, attempts] of this.#begun) {
      const counted = attempts.map((_, index) => index + 1);
      assert.deepEqual(attempts, counted, `the attempts of event ${id} do not count its handlings`);
      assert.ok(attempts.length <= maxDeliveries, `event ${id} was handled too often`);
    }
    for (const id of deadLetters) {
      assert.equal(this.attempts(id).length, maxDeliveries, `event ${id} was dropped early`);
    }
  }

  #begin({ id, attempt }: IncomingEvent): void {
    const attempts = this.#begun.get(id) ?? [];
    attempts.push(attempt);
    this.#begun.set(id, attempts);
  }

  #lost(deadLetters: readonly string[]): readonly string[] {
    const dead = new Set(deadLetters);
    return [...this.#published].filter((id) => !this.#handled.has(id) && !dead.has(id));
  }
}
