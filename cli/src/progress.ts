import { escapeControls } from "@micro-es/runtime/terminal-text";

/** A writable terminal. */
export interface TerminalStream {
  write(text: string): unknown;
  /** Characters per line. */
  readonly columns?: number;
}

/** Time before a terminal shows progress, and between two updates, in milliseconds. */
const everyMs = 1_000;

const eraseLine = "\r\u001b[2K";

/**
 * A line that shows what the program waits for, and for how long. It stays below all other output,
 * appears after a second, and is erased at the end.
 */
export class Progress {
  readonly #stream: TerminalStream;
  #text = "";
  #began = 0;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  /** Other output was written since the wait began. */
  #interrupted = false;

  constructor(stream: TerminalStream) {
    this.#stream = stream;
  }

  /**
   * Sets what the program waits for. The seconds continue, unless the previous wait produced
   * output.
   */
  set(text: string): void {
    if (this.#interrupted) this.end();
    this.#text = escapeControls(text);
    if (this.#timer === undefined) {
      this.#began = performance.now();
      this.#timer = setInterval(() => this.#show(), everyMs);
      this.#timer.unref();
    } else if (this.#shown) {
      this.#show();
    }
  }

  /** Erases the line before other output; it is redrawn later. */
  hide(): void {
    if (this.#shown) this.#stream.write(eraseLine);
    this.#shown = false;
    this.#interrupted = true;
  }

  /** Ends the wait. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.hide();
    this.#interrupted = false;
  }

  #show(): void {
    const seconds = Math.round((performance.now() - this.#began) / 1_000);
    const time = ` … ${seconds} s`;
    // A line that wraps could not be erased.
    const room = (this.#stream.columns || 80) - time.length - 1;
    this.#stream.write(`${eraseLine}${this.#text.slice(0, Math.max(0, room))}${time}`);
    this.#shown = true;
  }
}
