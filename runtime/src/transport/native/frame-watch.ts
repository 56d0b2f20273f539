import { MicroError } from "../../base/error.ts";
import { minBytesPerSecond, slowestMs } from "../streams/progress.ts";
import type { FrameReader } from "./frame-reader.ts";

/**
 * Ends a connection whose next frame has begun and does not arrive. Every call behind the frame
 * waits for it, so it must be complete within a grace period, plus one second for each 16 KiB of it
 * that has arrived.
 *
 * Most chunks of a busy connection end within a frame, so the timer runs once per grace period, not
 * once per frame.
 */
export class FrameWatch {
  readonly #reader: FrameReader;
  readonly #graceMs: number;
  readonly #isReading: () => boolean;
  readonly #onLate: (error: MicroError) => void;
  #timer: NodeJS.Timeout | undefined;
  /** The frame that is watched, and since when. */
  #frame = 0;
  #since = 0;

  /**
   * @param isReading whether bytes are being read; time in which they are not does not count
   * @param onLate called once
   */
  constructor(
    reader: FrameReader,
    graceMs: number,
    isReading: () => boolean,
    onLate: (error: MicroError) => void,
  ) {
    this.#reader = reader;
    this.#graceMs = graceMs;
    this.#isReading = isReading;
    this.#onLate = onLate;
  }

  /** Starts watching an incomplete frame. */
  begin(): void {
    if (this.#timer === undefined) this.#restart();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #restart(): void {
    this.#frame = this.#reader.framesBegun;
    this.#since = performance.now();
    this.#checkIn(this.#graceMs);
  }

  #checkIn(ms: number): void {
    this.#timer = setTimeout(() => {
      if (this.#leftMs > 0) this.#check();
      // A process that was busy has bytes waiting in the kernel, which are read before this runs.
      else this.#timer = setTimeout(() => this.#check(), 1).unref();
    }, Math.ceil(ms)).unref();
  }

  /** The time that the frame has left; infinite if it is complete, or bytes are not being read. */
  get #leftMs(): number {
    const { atBoundary, framesBegun, frameBytes } = this.#reader;
    if (atBoundary || framesBegun !== this.#frame || !this.#isReading()) {
      return Number.POSITIVE_INFINITY;
    }
    return this.#since + this.#graceMs + slowestMs(frameBytes.received) - performance.now();
  }

  #check(): void {
    this.#timer = undefined;
    const leftMs = this.#leftMs;
    if (leftMs === Number.POSITIVE_INFINITY) {
      if (!this.#reader.atBoundary) this.#restart();
    } else if (leftMs > 0) {
      this.#checkIn(leftMs);
    } else {
      const { received, length } = this.#reader.frameBytes;
      this.#onLate(
        new MicroError(
          "deadline_exceeded",
          `received ${received} of the ${length} bytes of a frame, which was not complete within ${this.#graceMs} ms (handshakeTimeoutMs) and a second for each ${minBytesPerSecond} bytes that arrived`,
        ),
      );
    }
  }
}
