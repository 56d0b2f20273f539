import { MicroError } from "../base/error.ts";
import { minBytesPerSecond, slowestMs } from "./streams/progress.ts";

/**
 * Ends messages that arrive too slowly. A message has the time for its header, plus one second for
 * each 16 KiB of its body that has arrived. A slow sender therefore holds a connection and its
 * memory only briefly.
 */
export class BodyDeadline {
  readonly #graceMs: number;
  readonly #onLate: (error: MicroError) => void;
  #timer: NodeJS.Timeout | undefined;
  #judging: NodeJS.Immediate | undefined;
  #endsAt = 0;

  /** @param onLate called once, for a message that is late */
  constructor(graceMs: number, onLate: (error: MicroError) => void) {
    this.#graceMs = graceMs;
    this.#onLate = onLate;
  }

  get running(): boolean {
    return this.#timer !== undefined;
  }

  /** Starts timing a message. */
  begin(): void {
    this.#endsAt = performance.now() + this.#graceMs;
    this.#timer = setTimeout(() => this.#check(), this.#graceMs).unref();
  }

  /** Reports bytes of the body that have arrived. */
  received(bytes: number): void {
    this.#endsAt += slowestMs(bytes);
  }

  /** Stops timing: the message is complete, or its connection has ended. */
  end(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#judging);
    this.#timer = undefined;
  }

  #check(): void {
    const leftMs = this.#endsAt - performance.now();
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#check(), Math.ceil(leftMs)).unref();
      return;
    }
    // Bytes that arrived while the process was busy are read first.
    this.#judging = setImmediate(() => this.#judge());
  }

  #judge(): void {
    if (this.#endsAt > performance.now()) {
      this.#check();
      return;
    }
    this.#timer = undefined;
    this.#onLate(lateMessage(this.#graceMs));
  }
}

/** Returns the error for a message that arrives too slowly. */
export function lateMessage(graceMs: number): MicroError {
  return new MicroError(
    "deadline_exceeded",
    `a message was not complete within ${graceMs} ms and a second for each ${minBytesPerSecond} bytes of its body`,
    { outcome: "not-executed" },
  );
}
