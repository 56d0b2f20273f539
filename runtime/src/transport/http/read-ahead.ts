/** A message that was read, with its size. */
export interface Sized<T> {
  readonly value: T;
  /** In bytes. */
  readonly size: number;
}

/** The least that a message counts, so that the number of empty messages is limited too. */
const leastBytes = 64;

/**
 * Reads a stream ahead of its reader, so that the end of the stream is detected when it happens and
 * not when the reader reaches it. The buffer holds a limited number of bytes, plus one message.
 */
export class ReadAhead<T> {
  readonly #read: () => Promise<Sized<T> | undefined>;
  readonly #mostBytes: number;
  readonly #waiting: Sized<T>[] = [];
  #bytes = 0;
  #reading = false;
  #over = false;
  #failure: { readonly reason: unknown } | undefined;
  #wake: (() => void) | undefined;

  /**
   * @param read returns the next message, undefined at the end. It is called again after it has
   * resolved, and never after the end.
   */
  constructor(read: () => Promise<Sized<T> | undefined>, mostBytes: number) {
    this.#read = read;
    this.#mostBytes = mostBytes;
  }

  /**
   * Returns the next message, undefined at the end. Only one call at a time.
   * @throws what a read rejects with, after the buffered messages.
   */
  async next(): Promise<{ readonly value: T } | undefined> {
    for (;;) {
      void this.#fill();
      const first = this.#waiting.shift();
      if (first !== undefined) {
        this.#bytes -= first.size;
        void this.#fill();
        return first;
      }
      if (this.#failure !== undefined) throw this.#failure.reason;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #fill(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    while (!this.#over && this.#bytes < this.#mostBytes) {
      try {
        const message = await this.#read();
        if (message === undefined) this.#over = true;
        else this.#keep(message);
      } catch (reason) {
        this.#over = true;
        this.#failure = { reason };
      }
      this.#wake?.();
    }
    this.#reading = false;
  }

  #keep({ value, size }: Sized<T>): void {
    const counted = Math.min(Math.max(size, leastBytes), this.#mostBytes);
    this.#waiting.push({ value, size: counted });
    this.#bytes += counted;
  }
}
