import { MicroError } from "../error.ts";

/** Callers that may wait for one key in this process. */
const maxWaiting = 10_000;

interface Place {
  readonly begin: () => void;
}

/**
 * Callers of this process that wait for the same key stand in line, so that the first come is the first served and
 * only one of them asks the backend.
 */
export class WaitingLine {
  /** By key: who is served, and behind it who waits. */
  readonly #lines = new Map<string, Place[]>();
  readonly #working = new Set<Promise<unknown>>();

  /**
   * Does the work when it is this caller's turn.
   * @throws the signal's reason when it fires before.
   */
  async stand<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(key) ?? [];
    this.#lines.set(key, line);
    if (line.length >= maxWaiting) {
      throw new MicroError("resource_exhausted", `${maxWaiting} callers wait for ${key} already`, {
        outcome: "not-executed",
      });
    }
    const place = await this.#turn(key, line, signal);
    const working = work();
    this.#working.add(working);
    try {
      return await working;
    } finally {
      this.#working.delete(working);
      this.#leave(key, line, place);
    }
  }

  /** Resolves when nobody is being served any more. */
  async empty(): Promise<void> {
    await Promise.allSettled(this.#working);
  }

  #turn(key: string, line: Place[], signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#leave(key, line, place);
        reject(signal.reason);
      };
      const place: Place = {
        begin: () => {
          signal.removeEventListener("abort", giveUp);
          resolve(place);
        },
      };
      line.push(place);
      signal.addEventListener("abort", giveUp, { once: true });
      if (signal.aborted) giveUp();
      else if (line[0] === place) place.begin();
    });
  }

  #leave(key: string, line: Place[], place: Place): void {
    const wasFirst = line[0] === place;
    const at = line.indexOf(place);
    if (at >= 0) line.splice(at, 1);
    if (line.length === 0) this.#lines.delete(key);
    else if (wasFirst) line[0]?.begin();
  }
}
