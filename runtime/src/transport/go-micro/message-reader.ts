import { MicroError } from "../../error.ts";
import type { GoMicroMessage } from "./message.ts";

/** Bounds of what is read from a connection. */
export interface ReaderLimits {
  /** The largest body, in bytes; what its header announces is checked before a byte is kept. */
  readonly maxBodyBytes: number;
}

/** The most that a header may measure, in bytes, and the most lines it may have. */
const maxHeaderBytes = 32 * 1024;
const maxHeaderLines = 160;
/** The longest line that says how large a chunk is. */
const maxChunkLineBytes = 256;

/** A message with the first line that it came with. */
export interface ReadMessage extends GoMicroMessage {
  /** `POST / HTTP/1.1` of a request, `HTTP/1.1 200 OK` of an answer. */
  readonly startLine: string;
}

type State = "header" | "body" | "chunk size" | "chunk" | "chunk end" | "trailer";

/**
 * Takes go-micro's messages off a connection. It speaks HTTP/1.1 as a pipe in both directions: each message is a
 * request, or an answer that belongs to none of them, so no HTTP library serves here. Bodies come with a length or in
 * chunks; an answer with neither has no body.
 */
export class MessageReader {
  readonly #limits: ReaderLimits;
  #state: State = "header";
  /** What has come and was not taken yet. */
  #pending: Buffer = Buffer.alloc(0);
  #startLine = "";
  #header = new Map<string, string>();
  #parts: Buffer[] = [];
  #size = 0;
  /** Bytes that the body, or the chunk, still lacks. */
  #missing = 0;

  constructor(limits: ReaderLimits) {
    this.#limits = limits;
  }

  /** Whether a message has begun and is not complete. */
  get inMessage(): boolean {
    return this.#state !== "header" || this.#pending.length > 0;
  }

  /** Whether the header of a message has begun and is not complete. */
  get inHeader(): boolean {
    return this.#state === "header" && this.#pending.length > 0;
  }

  /**
   * Takes bytes, and gives the messages that are complete with them.
   * @throws MicroError `invalid_argument` for what is no such message, `resource_exhausted` for one over a limit.
   */
  *read(bytes: Buffer): Generator<ReadMessage> {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    for (;;) {
      const message = this.#step();
      if (message === "more") return;
      if (message !== undefined) yield message;
    }
  }

  /** Goes on by one part of a message; `more` when that part is not complete. */
  #step(): ReadMessage | "more" | undefined {
    switch (this.#state) {
      case "header":
        return this.#readHeader();
      case "body":
        return this.#take(() => this.#complete());
      case "chunk size":
        return this.#readChunkSize();
      case "chunk":
        return this.#take(() => {
          this.#state = "chunk end";
          return undefined;
        });
      case "chunk end":
        return this.#line("a chunk", 2, (text) => {
          if (text !== "") throw malformed("a chunk is longer than it says");
          this.#state = "chunk size";
          return undefined;
        });
      case "trailer":
        return this.#line("a trailer", maxHeaderBytes, (text) =>
          text === "" ? this.#complete() : undefined,
        );
    }
  }

  #readHeader(): ReadMessage | "more" | undefined {
    const end = this.#pending.indexOf("\r\n\r\n");
    if ((end < 0 ? this.#pending.length : end) > maxHeaderBytes) {
      throw tooLarge(`a header is over ${maxHeaderBytes} bytes`);
    }
    if (end < 0) return "more";
    // Go sends text in UTF-8 as it is.
    const lines = this.#pending.toString("utf8", 0, end).split("\r\n");
    this.#pending = this.#pending.subarray(end + 4);
    if (lines.length > maxHeaderLines + 1) {
      throw tooLarge(`a header has over ${maxHeaderLines} lines`);
    }
    this.#startLine = lines[0]!;
    if (!/^(?:[A-Z]+ \S+ HTTP\/1\.[01]|HTTP\/1\.[01] \d{3}(?: .*)?)$/.test(this.#startLine)) {
      throw malformed("a message begins with neither a request nor a status");
    }
    this.#header = readLines(lines);
    return this.#beginBody();
  }

  #beginBody(): ReadMessage | undefined {
    const encoding = this.#header.get("transfer-encoding");
    const length = this.#header.get("content-length");
    if (encoding !== undefined) {
      if (encoding.toLowerCase() !== "chunked" || length !== undefined) {
        throw malformed("a body is in another transfer encoding than chunked, or has a length too");
      }
      this.#state = "chunk size";
      return undefined;
    }
    if (length === undefined) return this.#complete();
    if (!/^\d{1,15}$/.test(length)) throw malformed("a content length is no number");
    this.#expect(Number(length));
    if (this.#missing === 0) return this.#complete();
    this.#state = "body";
    return undefined;
  }

  #readChunkSize(): "more" | undefined {
    return this.#line("the size of a chunk", maxChunkLineBytes, (text) => {
      const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(text)?.[1];
      if (size === undefined) throw malformed("the size of a chunk is no number");
      this.#expect(Number.parseInt(size, 16));
      this.#state = this.#missing === 0 ? "trailer" : "chunk";
      return undefined;
    });
  }

  /** @throws MicroError when the body grows over its limit. */
  #expect(bytes: number): void {
    if (this.#size + bytes > this.#limits.maxBodyBytes) {
      throw tooLarge(
        `a message has ${this.#size + bytes} bytes or more, over the limit of ${this.#limits.maxBodyBytes}; send less, or raise maxMessageBytes`,
      );
    }
    this.#size += bytes;
    this.#missing = bytes;
  }

  #take<T>(done: () => T): T | "more" {
    const part = this.#pending.subarray(0, this.#missing);
    if (part.length > 0) this.#parts.push(part);
    this.#pending = this.#pending.subarray(part.length);
    this.#missing -= part.length;
    return this.#missing > 0 ? "more" : done();
  }

  #line<T>(what: string, limit: number, done: (text: string) => T): T | "more" {
    const end = this.#pending.indexOf("\r\n");
    if ((end < 0 ? this.#pending.length : end) > limit) throw malformed(`${what} does not end`);
    if (end < 0) return "more";
    const text = this.#pending.toString("latin1", 0, end);
    this.#pending = this.#pending.subarray(end + 2);
    return done(text);
  }

  #complete(): ReadMessage {
    const message: ReadMessage = {
      startLine: this.#startLine,
      header: this.#header,
      body: plainBytes(this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)),
    };
    this.#state = "header";
    this.#parts = [];
    this.#size = 0;
    return message;
  }
}

/** The same bytes without Node's own type, which messages that keep a part of them would show. */
function plainBytes(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function readLines(lines: readonly string[]): Map<string, string> {
  const header = new Map<string, string>();
  for (let at = 1; at < lines.length; at++) {
    const text = lines[at]!;
    const colon = text.indexOf(":");
    const name = text.slice(0, colon).toLowerCase();
    if (colon < 1 || !/^[\w!#$%&'*+.^`|~-]+$/.test(name))
      throw malformed("a header line has no name");
    // Of several lines go-micro takes the first; of two that say where a body ends, none can be trusted.
    if (!header.has(name)) header.set(name, text.slice(colon + 1).trim());
    else if (name === "content-length" || name === "transfer-encoding") {
      throw malformed(`a header has ${name} twice`);
    }
  }
  return header;
}

function malformed(what: string): MicroError {
  return new MicroError("invalid_argument", `no message of go-micro's: ${what}`, {
    outcome: "not-executed",
  });
}

function tooLarge(what: string): MicroError {
  return new MicroError("resource_exhausted", what, { outcome: "not-executed" });
}
