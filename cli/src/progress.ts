/** A terminal that can be written to. */
export interface TerminalStream {
  write(text: string): unknown;
  /** Characters in a line. */
  readonly columns?: number;
}

/** How long something may take before a terminal is told that it goes on, and between two tellings, in milliseconds. */
const everyMs = 1_000;

const eraseLine = "\r\u001b[2K";

/**
 * The line that says what is being waited for, and for how long by now. It stands below all that is written, comes when
 * the waiting has taken a second, and leaves nothing behind.
 */
export class Progress {
  readonly #stream: TerminalStream;
  #text = "";
  #began = 0;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  /** Something else was written since the waiting began. */
  #interrupted = false;

  constructor(stream: TerminalStream) {
    this.#stream = stream;
  }

  /**
   * What is being waited for from now on. What was waited for before belongs to it, and the seconds go on, unless something
   * has come of it.
   */
  set(text: string): void {
    if (this.#interrupted) this.end();
    this.#text = text;
    if (this.#timer === undefined) {
      this.#began = performance.now();
      this.#timer = setInterval(() => this.#show(), everyMs);
      this.#timer.unref();
    } else if (this.#shown) {
      this.#show();
    }
  }

  /** Makes room for something else to be written; the line comes again. */
  hide(): void {
    if (this.#shown) this.#stream.write(eraseLine);
    this.#shown = false;
    this.#interrupted = true;
  }

  /** Nothing is waited for any more. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.hide();
    this.#interrupted = false;
  }

  #show(): void {
    const seconds = Math.round((performance.now() - this.#began) / 1_000);
    const time = ` … ${seconds} s`;
    // A line that is broken into two could not be erased.
    const room = (this.#stream.columns || 80) - time.length - 1;
    this.#stream.write(`${eraseLine}${this.#text.slice(0, Math.max(0, room))}${time}`);
    this.#shown = true;
  }
}
