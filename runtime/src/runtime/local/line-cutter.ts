const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Receives a line as a range of a buffer that is reused afterwards. */
export type TakeLine = (bytes: Buffer, from: number, to: number, cut: boolean) => void;

/**
 * Splits the output of a process into lines, and keeps at most `maxBytes` of a line: the rest of a
 * longer one is skipped. It creates no string or object per line, so a process that writes a
 * gigabyte leaves no garbage.
 */
export class LineCutter {
  readonly #maxBytes: number;
  readonly #take: TakeLine;
  /** The beginning of a line whose end has not arrived yet; allocated on first use. */
  #begun: Buffer | undefined;
  #begunBytes = 0;
  #overlong = false;

  constructor(maxBytes: number, take: TakeLine) {
    this.#maxBytes = maxBytes;
    this.#take = take;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let to = chunk.indexOf(lineFeed); to >= 0; to = chunk.indexOf(lineFeed, from)) {
      this.#endLine(chunk, from, to);
      from = to + 1;
    }
    if (from < chunk.length) this.#keep(chunk, from, chunk.length);
  }

  /** The output has ended: an unfinished line counts as a line. */
  end(): void {
    if (this.#begunBytes > 0) this.#endLine(Buffer.alloc(0), 0, 0);
  }

  #endLine(chunk: Buffer, from: number, to: number): void {
    if (this.#begunBytes === 0) {
      this.#emit(chunk, from, to, false);
      return;
    }
    this.#keep(chunk, from, to);
    this.#emit(this.#begun!, 0, this.#begunBytes, this.#overlong);
    this.#begunBytes = 0;
    this.#overlong = false;
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    this.#begun ??= Buffer.allocUnsafe(this.#maxBytes);
    const fits = Math.min(to - from, this.#maxBytes - this.#begunBytes);
    chunk.copy(this.#begun, this.#begunBytes, from, from + fits);
    this.#begunBytes += fits;
    if (fits < to - from) this.#overlong = true;
  }

  #emit(bytes: Buffer, from: number, to: number, overlong: boolean): void {
    const cut = overlong || to - from > this.#maxBytes;
    let end = cut ? characterStart(bytes, from, Math.min(to, from + this.#maxBytes)) : to;
    if (!cut && end > from && bytes[end - 1] === carriageReturn) end--;
    this.#take(bytes, from, end, cut);
  }
}

/** The end of the bytes, or slightly before it, so that no UTF-8 character is split. */
function characterStart(bytes: Buffer, from: number, end: number): number {
  const isInside = (at: number) => (bytes[at]! & 0xc0) === 0x80;
  let at = end - 1;
  while (at > from && end - at < 4 && isInside(at)) at--;
  const lead = bytes[at] ?? 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return at + length > end ? at : end;
}
