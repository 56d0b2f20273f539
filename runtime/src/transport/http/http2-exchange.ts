import { Readable, Writable } from "node:stream";
import { errorCode } from "../http2/error-code.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import { isOfConnection, type MessageHead } from "../http2/message-head.ts";
import type { Http2Stream, ResetBy, StreamHandler } from "../http2/stream.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";

const nothing = new Uint8Array(0);
const continueFields = [new HeaderField(":status", "100")];

/** Fields of which only the first counts; values of other fields are joined. */
const single: ReadonlySet<string> = new Set(["authorization", "content-length", "content-type"]);

/**
 * A request and its response on a stream, in the form in which Node's HTTP/2 server presents them,
 * for everything that is not a plain call: mounted routers, go-micro's gRPC, health probes,
 * preflight requests, and what is refused.
 */
export class Http2Exchange implements StreamHandler {
  readonly #state: StreamState;
  readonly #request: BridgedRequest;
  readonly #response: BridgedResponse;

  /**
   * @param session identifies the connection
   * @param encrypted whether the connection is one of TLS
   */
  constructor(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    session: object,
    encrypted: boolean,
  ) {
    this.#state = new StreamState(stream, session);
    this.#request = new BridgedRequest(stream, this.#state, head, list, encrypted);
    this.#response = new BridgedResponse(stream, this.#state, head.method === "HEAD");
    // Writing after the end has no effect: the end itself was reported.
    this.#request.on("error", () => undefined);
    this.#response.on("error", () => undefined);
    if (this.#request.headers.expect?.toLowerCase() === "100-continue") {
      stream.head(undefined, continueFields);
    }
  }

  get request(): HttpRequest {
    return this.#request as unknown as HttpRequest;
  }

  get response(): HttpResponse {
    return this.#response as unknown as HttpResponse;
  }

  onHead(): void {
    // The header of the request is known when this is created.
  }

  onData(_stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    this.#request.receive(bytes, start, end);
  }

  onEnd(): void {
    this.#request.end();
  }

  onReset(_stream: Http2Stream, code: number, by: ResetBy): void {
    const state = this.#state;
    state.rstCode = by === "connection" ? errorCode.cancel : code;
    state.aborted ||= by !== "self" || code !== errorCode.noError;
    // As Node does, a request that is cut off ends, and says so only if it is asked.
    this.#request.end();
  }

  onWritable(): void {
    this.#response.continueWriting();
  }

  onDue(): void {}

  /**
   * Reports the end in a later turn, as Node does, so that a handler whose call is cancelled at
   * once has begun by then.
   */
  onClosed(): void {
    setImmediate(() => {
      this.#state.destroyed = true;
      this.#response.lost();
      this.#request.emit("close");
      this.#response.emit("close");
    });
  }
}

/** The state of a stream, as Node's streams report it. */
class StreamState {
  readonly session: object;
  aborted = false;
  destroyed = false;
  rstCode: number = errorCode.noError;
  readonly #stream: Http2Stream;

  constructor(stream: Http2Stream, session: object) {
    this.#stream = stream;
    this.session = session;
  }

  close(code: number): void {
    this.#stream.reset(code);
  }
}

class BridgedRequest extends Readable {
  readonly stream: StreamState;
  readonly method: string;
  readonly url: string;
  readonly authority: string;
  readonly headers: Record<string, string> = Object.create(null);
  readonly rawHeaders: string[] = [];
  readonly httpVersion = "2.0";
  readonly httpVersionMajor = 2;
  readonly socket: { readonly encrypted: boolean };
  readonly #stream: Http2Stream;
  /** Bytes that wait to be read, and count against the window until then. */
  #unread = 0;
  #ended = false;

  constructor(
    stream: Http2Stream,
    state: StreamState,
    head: MessageHead,
    list: HeaderList,
    encrypted: boolean,
  ) {
    super({ autoDestroy: false, emitClose: false });
    this.socket = { encrypted };
    this.#stream = stream;
    this.stream = state;
    this.method = head.method;
    this.url = head.path;
    for (const { name, value } of list.fields) {
      this.rawHeaders.push(name, value);
      const before = this.headers[name];
      if (before === undefined) this.headers[name] = value;
      else if (!single.has(name)) {
        this.headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
      }
    }
    this.authority = head.authority === "" ? (this.headers.host ?? "") : head.authority;
  }

  receive(bytes: Uint8Array, start: number, end: number): void {
    this.#unread += end - start;
    // When it is full, what it holds is consumed only as it is read.
    if (this.push(bytes.subarray(start, end))) this.#consume();
  }

  /** Called when no more will come. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
  }

  override _read(): void {
    this.#consume();
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#consume();
    done();
  }

  #consume(): void {
    const unread = this.#unread;
    this.#unread = 0;
    this.#stream.consume(unread);
  }
}

class BridgedResponse extends Writable {
  readonly stream: StreamState;
  readonly #stream: Http2Stream;
  readonly #isHead: boolean;
  #status = 200;
  #headSent = false;
  readonly #lines = new Map<string, readonly string[]>();
  #trailers: readonly HeaderField[] | undefined;
  /** Called when a message has been passed on. */
  #passed: (() => void) | undefined;

  constructor(stream: Http2Stream, state: StreamState, isHead: boolean) {
    super({ autoDestroy: false, emitClose: false });
    this.#stream = stream;
    this.stream = state;
    this.#isHead = isHead;
  }

  setHeader(name: string, value: number | string | readonly string[]): this {
    const key = name.toLowerCase();
    // As Node does, for responses that were made for HTTP/1.1.
    if (isOfConnection(key)) return this;
    this.#lines.set(key, typeof value === "object" ? value : [String(value)]);
    return this;
  }

  writeHead(
    status: number,
    lines: Readonly<Record<string, string | readonly string[]>> = {},
  ): this {
    this.#status = status;
    for (const [name, value] of Object.entries(lines)) this.setHeader(name, value);
    if (!this.#headSent && !this.#isHead) this.#sendHead(false);
    return this;
  }

  addTrailers(lines: Readonly<Record<string, string | readonly string[]>>): void {
    this.#trailers = Object.entries(lines).flatMap(([name, value]) =>
      fieldsOf(name, typeof value === "string" ? [value] : value),
    );
  }

  /** Called when more can be sent. */
  continueWriting(): void {
    const passed = this.#passed;
    this.#passed = undefined;
    passed?.();
  }

  /** Called when the stream is closed: data that waits is never sent. */
  lost(): void {
    this.destroyed ||= true;
    this.continueWriting();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#isHead) {
      done();
      return;
    }
    this.#sendHead(false);
    const passed = this.#stream.send(chunk, 0, chunk.length);
    // On a closed stream it waits until the end is reported. A writer that continued at once would
    // never let the event loop report it, and compute for ever.
    if (passed && !this.#stream.closed) done();
    else this.#passed = done;
  }

  override _final(done: () => void): void {
    if (this.#isHead) this.#sendHead(true);
    else {
      this.#sendHead(false);
      if (this.#trailers === undefined) this.#stream.send(nothing, 0, 0, true);
      else this.#stream.trailers(undefined, this.#trailers);
    }
    done();
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#stream.reset(errorCode.internalError);
    done();
  }

  #sendHead(end: boolean): void {
    if (this.#headSent) return;
    this.#headSent = true;
    const fields = [new HeaderField(":status", String(this.#status))];
    for (const [name, values] of this.#lines) fields.push(...fieldsOf(name, values));
    if (!this.#lines.has("date")) fields.push(new HeaderField("date", new Date().toUTCString()));
    if (!this.#stream.closed) this.#stream.head(undefined, fields, end);
  }
}

function fieldsOf(name: string, values: readonly string[]): HeaderField[] {
  return values.map((value) => new HeaderField(name.toLowerCase(), value.trim()));
}
