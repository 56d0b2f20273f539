import { type Deadline, DeadlineSweep, monotonicNow } from "../../base/deadline.ts";

/** The least time between two sweeps, in milliseconds. */
const minimumDelayMs = 20;

/** A stream that is woken at a time. */
export interface DueStream {
  readonly dueAt: Deadline;
  /** Called when its time has come, which it must then forget. */
  wake(now: Deadline): void;
}

/** Wakes the streams of many connections of HTTP/1.1, by one timer. */
export class DueStreams {
  readonly #streams = new Set<DueStream>();
  readonly #sweep: DeadlineSweep = new DeadlineSweep(() => this.#wakeSoon(), minimumDelayMs);
  #closed = false;

  /** Ensures that a stream is woken at its time, or a little later. */
  watch(stream: DueStream): void {
    this.#streams.add(stream);
    if (!this.#closed) this.#sweep.watch(stream.dueAt);
  }

  delete(stream: DueStream): void {
    this.#streams.delete(stream);
  }

  close(): void {
    this.#closed = true;
    this.#sweep.close();
  }

  /** In a later turn, because a process that was busy has bytes waiting, which are read first. */
  #wakeSoon(): Deadline {
    setImmediate(() => {
      const now = monotonicNow();
      let next = Number.POSITIVE_INFINITY;
      for (const stream of this.#streams) {
        if (stream.dueAt <= now) stream.wake(now);
        if (stream.dueAt < next) next = stream.dueAt;
      }
      if (!this.#closed && next !== Number.POSITIVE_INFINITY) this.#sweep.watch(next);
    });
    return Number.POSITIVE_INFINITY;
  }
}
