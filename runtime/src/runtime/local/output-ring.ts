import { Changes } from "../../base/changes.ts";
import type { RunLog, RunLogsOptions } from "../runtime.ts";

type Stream = "stdout" | "stderr";

/** Header before each line's bytes: its time (8), flags (1) and length (4). */
const headerBytes = 13;
const fromStderr = 1;
const wasCut = 2;

/**
 * The last lines of a service's output, in a fixed number of bytes. Newer lines overwrite older
 * ones. A reader keeps only its position, so a slow one costs no memory and is told how many lines
 * it has lost.
 */
export class OutputRing {
  readonly #bytes: Buffer;
  readonly #header: Buffer = Buffer.alloc(headerBytes);
  /**
   * The positions of the oldest line and of the next one; they only increase, and are taken modulo
   * the size.
   */
  #begin = 0;
  #end = 0;
  /** Numbers of the oldest line and of the next one. */
  #firstLine = 0;
  #nextLine = 0;
  #closed = false;
  readonly #changes = new Changes();

  /** @param capacity in bytes; a line may take a quarter of it. */
  constructor(capacity: number) {
    this.#bytes = Buffer.alloc(capacity);
  }

  get maxLineBytes(): number {
    return Math.floor(this.#bytes.length / 4);
  }

  append(stream: Stream, line: Buffer, from: number, to: number, cut: boolean): void {
    const size = headerBytes + to - from;
    while (this.#end + size - this.#begin > this.#bytes.length) {
      this.#begin += headerBytes + this.#lengthAt(this.#begin);
      this.#firstLine++;
    }
    this.#header.writeDoubleLE(Date.now(), 0);
    this.#header[8] = (stream === "stderr" ? fromStderr : 0) | (cut ? wasCut : 0);
    this.#header.writeUInt32LE(to - from, 9);
    this.#copyIn(this.#end, this.#header, 0, headerBytes);
    this.#copyIn(this.#end + headerBytes, line, from, to);
    this.#end += size;
    this.#nextLine++;
    this.#changes.tell();
  }

  /** Ends readers that follow: no more lines will arrive. */
  close(): void {
    this.#closed = true;
    this.#changes.tell();
  }

  async *read(options: RunLogsOptions = {}): AsyncGenerator<RunLog> {
    const { tail, follow = false, signal } = options;
    let at = this.#begin;
    let line = this.#firstLine;
    const skipTo = this.#nextLine - (tail ?? Number.POSITIVE_INFINITY);
    for (; line < skipTo; line++) at += headerBytes + this.#lengthAt(at);
    for (;;) {
      while (at < this.#end) {
        if (signal?.aborted === true) return;
        if (at < this.#begin) {
          const lines = this.#firstLine - line;
          at = this.#begin;
          line = this.#firstLine;
          yield { type: "lost", lines };
          continue;
        }
        const log = this.#lineAt(at);
        at += headerBytes + this.#lengthAt(at);
        line++;
        yield log;
      }
      if (!follow || this.#closed || signal?.aborted === true) return;
      await this.#changes.next(signal);
    }
  }

  #lineAt(at: number): RunLog {
    const header = this.#copyOut(at, headerBytes);
    const flags = header[8] ?? 0;
    const text = this.#copyOut(at + headerBytes, header.readUInt32LE(9));
    return {
      type: "line",
      time: new Date(header.readDoubleLE(0)),
      stream: (flags & fromStderr) === 0 ? "stdout" : "stderr",
      text: text.toString("utf8"),
      cut: (flags & wasCut) !== 0,
    };
  }

  #lengthAt(at: number): number {
    const size = this.#bytes.length;
    let length = 0;
    for (let byte = 3; byte >= 0; byte--) {
      length = length * 256 + this.#bytes[(at + 9 + byte) % size]!;
    }
    return length;
  }

  #copyIn(at: number, source: Buffer, from: number, to: number): void {
    const start = at % this.#bytes.length;
    const first = Math.min(to - from, this.#bytes.length - start);
    source.copy(this.#bytes, start, from, from + first);
    source.copy(this.#bytes, 0, from + first, to);
  }

  #copyOut(at: number, length: number): Buffer {
    const start = at % this.#bytes.length;
    if (start + length <= this.#bytes.length) return this.#bytes.subarray(start, start + length);
    const tail = this.#bytes.subarray(start);
    return Buffer.concat([tail, this.#bytes.subarray(0, length - tail.length)]);
  }
}
