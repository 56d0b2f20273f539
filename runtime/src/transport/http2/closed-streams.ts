/** How many streams are remembered. */
const remembered = 4_096;

/** How a stream that is not open was closed. */
export type ClosedKind =
  /** It was reset here. The peer may not know that yet, so its frames are ignored. */
  | "reset"
  /** The peer ended it, and knows that it is closed. */
  | "ended"
  /** It closed so long ago that nothing is known. */
  | "forgotten"
  /** The peer skipped its number. */
  | "skipped";

/**
 * Remembers how recent streams of the peer or of this side were closed, because frames for a closed
 * stream mean different things. Streams are numbered in sequence, so their numbers index an array.
 */
export class ClosedStreams {
  /** The number of a stream, or its complement if it was reset here. */
  #streams: Int32Array | undefined;

  add(stream: number, wasReset: boolean): void {
    this.#streams ??= new Int32Array(remembered);
    const slot = (stream >>> 1) & (remembered - 1);
    const known = this.#streams[slot]!;
    if ((known < 0 ? ~known : known) > stream) return;
    this.#streams[slot] = wasReset ? ~stream : stream;
  }

  /**
   * Called when the peer resets a stream that is closed. Returns whether this side had reset it and
   * the peer could not know that, which it does from then on.
   */
  knows(stream: number): boolean {
    if (this.kindOf(stream) !== "reset") return false;
    this.add(stream, false);
    return true;
  }

  /** How a stream was closed that is not open and whose number was passed already. */
  kindOf(stream: number): ClosedKind {
    const known = this.#streams?.[(stream >>> 1) & (remembered - 1)] ?? 0;
    if (known === stream) return "ended";
    if (known === ~stream) return "reset";
    return (known < 0 ? ~known : known) > stream ? "forgotten" : "skipped";
  }
}
