import { listenForAbort } from "../base/abort.ts";
import { MicroError } from "../base/error.ts";

/** Maximum number of callers in this process that may wait for one key. */
const maxWaiting = 10_000;

interface Place {
  readonly begin: () => void;
}

/**
 * Callers of this process that wait for the same key queue up, so that they are served in order of
 * arrival and only one of them polls the backend.
 */
export class FifoLock {
  /** By key: the caller being served, followed by those waiting. */
  readonly #lines = new Map<string, Place[]>();

  /**
   * Runs the work when it is this caller's turn.
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
    try {
      return await work();
    } finally {
      this.#leave(key, line, place);
    }
  }

  #turn(key: string, line: Place[], signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      let stopListening: (() => void) | undefined;
      const place: Place = {
        begin: () => {
          stopListening?.();
          resolve(place);
        },
      };
      line.push(place);
      stopListening = listenForAbort(signal, (reason) => {
        this.#leave(key, line, place);
        reject(reason);
      });
      if (line[0] === place) place.begin();
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
