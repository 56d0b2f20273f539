import { MicroError } from "../base/error.ts";
import { GrowingBuffer } from "../base/growing-buffer.ts";
import { type GoMicroMessage, isSingleLine } from "./message.ts";

/** Limits on what is read from a connection. */
export interface ReaderLimits {
  /**
   * The largest body, in bytes. A length announced in the header is checked before a byte is
   * buffered.
   */
  readonly maxBodyBytes: number;
  /**
   * Whether only `POST / ` begins a message, as on a server. Any other HTTP request ends the
   * reading: {@link MessageReader.foreign}.
   */
  readonly ownPathOnly?: boolean;
}

/** The start of every go-micro request. */
const ownRequest = "POST / ";
const httpRequest = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /;

/** The largest header, in bytes, and the most lines it may have. */
const maxHeaderBytes = 32 * 1024;
const maxHeaderLines = 160;
/** The longest line that states the size of a chunk. */
const maxChunkLineBytes = 256;

/** A message with its start line. */
export interface ReadMessage extends GoMicroMessage {
  /** `POST / HTTP/1.1` of a request, `HTTP/1.1 200 OK` of a response. */
  readonly startLine: string;
}

const nothing = Buffer.alloc(0);

type State = "header" | "body" | "chunk size" | "chunk" | "chunk end" | "trailer";

/**
 * Parses go-micro messages from a connection. go-micro uses HTTP/1.1 as a pipe in both directions:
 * each message is a request, or a response that belongs to no particular request, so no HTTP
 * library can be used. Bodies have a length or are chunked; a response with neither has no body.
 */
export class MessageReader {
  readonly #limits: ReaderLimits;
  #state: State = "header";
  /** The bytes that have been received and not parsed yet. */
  #pending: Buffer = nothing;
  /** Joins the pending bytes of several reads; `#pending` is then its content. */
  readonly #joined = new GrowingBuffer();
  /** Pending bytes that have already been searched for an end. */
  #searched = 0;
  #startLine = "";
  #header = new Map<string, string>();
  /** The body, if it arrived in one piece; otherwise it is collected in `#collected`. */
  #whole: Buffer | undefined = undefined;
  readonly #collected = new GrowingBuffer();
  #size = 0;
  #trailerBytes = 0;
  #foreign = false;
  /** Bytes that the body, or the chunk, still lacks. */
  #missing = 0;

  constructor(limits: ReaderLimits) {
    this.#limits = limits;
  }

  /** Whether a message has begun and is incomplete. */
  get inMessage(): boolean {
    return this.#state !== "header" || this.#pending.length > 0;
  }

  /**
   * The bytes from the start of a request that is not from go-micro; undefined if there is none.
   * Nothing after it is parsed.
   */
  get foreign(): Buffer | undefined {
    return this.#foreign ? this.#pending : undefined;
  }

  /** Received bytes of the incomplete message's body. */
  get bodyBytes(): number {
    return this.#size - this.#missing;
  }

  /**
   * Adds bytes, and yields the messages that they complete. If the iteration is left before its
   * end, the remaining messages are yielded with the next bytes, which may be empty.
   * @throws MicroError `invalid_argument` for a message that is not valid, `resource_exhausted` for
   * one over a limit.
   */
  *read(bytes: Buffer): Generator<ReadMessage> {
    if (bytes.length > 0) this.#pend(bytes);
    for (;;) {
      if (this.#state === "header" && this.#limits.ownPathOnly === true && this.#isForeign()) {
        this.#foreign = true;
        return;
      }
      const message = this.#step();
      if (message === "more") return;
      if (message !== undefined) yield message;
    }
  }

  /**
   * Adds to the pending bytes. Bytes that arrive in small pieces are each copied once or twice, not
   * once per piece.
   */
  #pend(bytes: Buffer): void {
    if (this.#pending.length === 0) {
      this.#pending = bytes;
      return;
    }
    if (this.#joined.length === 0) this.#joined.append(this.#pending);
    this.#joined.append(bytes);
    this.#pending = this.#joined.bytes;
  }

  /** Drops the first pending bytes. */
  #skip(count: number): void {
    if (this.#joined.length > 0) this.#pending = this.#joined.take();
    this.#pending = this.#pending.subarray(count);
    this.#searched = 0;
  }

  /**
   * Returns where `end` begins in the pending bytes, with at most `limit` bytes before it; -1 if it
   * has not arrived.
   */
  #find(end: string, limit: number, tooLong: () => MicroError): number {
    const from = Math.max(0, this.#searched - end.length + 1);
    const at = this.#pending.indexOf(end, from, "latin1");
    this.#searched = this.#pending.length;
    if ((at < 0 ? this.#pending.length : at) > limit) throw tooLong();
    return at;
  }

  #isForeign(): boolean {
    if (this.#pending.length < ownRequest.length) return false;
    const start = this.#pending.toString("latin1", 0, ownRequest.length + 1);
    return !start.startsWith(ownRequest) && httpRequest.test(start);
  }

  /** Parses one part of a message; returns `more` if that part is incomplete. */
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
        return this.#line("a trailer", maxHeaderBytes, (text) => {
          if (text === "") return this.#complete();
          this.#trailerBytes += text.length + 2;
          if (this.#trailerBytes <= maxHeaderBytes) return undefined;
          throw tooLarge(`trailers are over ${maxHeaderBytes} bytes`);
        });
    }
  }

  #readHeader(): ReadMessage | "more" | undefined {
    const end = this.#find("\r\n\r\n", maxHeaderBytes, () =>
      tooLarge(`a header is over ${maxHeaderBytes} bytes`),
    );
    if (end < 0) return "more";
    // Go sends text as unescaped UTF-8.
    const lines = this.#pending.toString("utf8", 0, end).split("\r\n");
    this.#skip(end + 4);
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
    if (!/^\d{1,15}$/.test(length)) throw malformed("a content length is not a number");
    this.#expect(Number(length));
    if (this.#missing === 0) return this.#complete();
    this.#state = "body";
    return undefined;
  }

  #readChunkSize(): "more" | undefined {
    return this.#line("the size of a chunk", maxChunkLineBytes, (text) => {
      const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(text)?.[1];
      if (size === undefined) throw malformed("the size of a chunk is not a number");
      this.#expect(Number.parseInt(size, 16));
      this.#state = this.#missing === 0 ? "trailer" : "chunk";
      return undefined;
    });
  }

  /** @throws MicroError if the body exceeds its limit. */
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
    const isWhole = this.#state === "body" && part.length === this.#size;
    if (isWhole) this.#whole = part;
    else this.#collected.append(part);
    this.#skip(part.length);
    this.#missing -= part.length;
    return this.#missing > 0 ? "more" : done();
  }

  #line<T>(what: string, limit: number, done: (text: string) => T): T | "more" {
    const end = this.#find("\r\n", limit, () => malformed(`${what} does not end`));
    if (end < 0) return "more";
    const text = this.#pending.toString("latin1", 0, end);
    this.#skip(end + 2);
    return done(text);
  }

  #complete(): ReadMessage {
    const message: ReadMessage = {
      startLine: this.#startLine,
      header: this.#header,
      body: plainBytes(this.#whole ?? this.#collected.take()),
    };
    this.#state = "header";
    this.#whole = undefined;
    this.#size = 0;
    this.#missing = 0;
    this.#trailerBytes = 0;
    return message;
  }
}

/**
 * Returns the same bytes as a plain Uint8Array: messages that keep a part of them would otherwise
 * expose Node's type.
 */
export function plainBytes(bytes: Buffer): Uint8Array {
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
    // go-micro uses the first of several lines.
    if (!header.has(name)) header.set(name, text.slice(colon + 1).trim());
    else if (isSingleLine(name)) throw malformed(`a header has ${name} twice`);
  }
  return header;
}

/** Returns the error for bytes that are not a valid message. */
export function malformed(what: string): MicroError {
  return new MicroError("invalid_argument", `not a go-micro message: ${what}`, {
    outcome: "not-executed",
  });
}

function tooLarge(what: string): MicroError {
  return new MicroError("resource_exhausted", what, { outcome: "not-executed" });
}
