import { constants } from "node:http2";
import type { Writable } from "node:stream";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { monotonicNow } from "../../base/deadline.ts";
import type { HttpResponse } from "../../transport/http/request.ts";
import type { StalledResponse, StalledResponses } from "../../transport/http/stalled-responses.ts";
import { groupLines, type HeaderLine, setHeader } from "../../transport/http-headers.ts";

/**
 * How much of one response may wait for its caller: this many bytes, plus the message that exceeds
 * them, and this many messages, because each costs Node some hundred bytes of its own.
 */
const most = { bytes: 32 * 1024, messages: 32 };

/** Writes one response no faster than its caller reads it, and tracks what is still unread. */
export class ResponseWriter implements StalledResponse {
  readonly #response: HttpResponse;
  readonly #untaken: StalledResponses;
  #bytes = 0;
  #messages = 0;
  #takenAt = 0;
  #error: Error | undefined;
  #onRoom: (() => void) | undefined;

  constructor(response: HttpResponse, untaken: StalledResponses) {
    this.#response = response;
    this.#untaken = untaken;
    response.on("error", (error) => this.#gone(error));
    response.once("close", () => this.#gone(new Error("the caller is gone")));
  }

  get bytes(): number {
    return this.#bytes;
  }

  get takenAt(): number {
    return this.#takenAt;
  }

  /**
   * Resolves when the end is written. Throws if the caller disconnects before, and closes the body.
   *
   * @param late returns additional header lines, called when the first message is available
   */
  async write(
    { status, header, body, trailer }: UniversalServerResponse,
    late: () => Iterable<HeaderLine>,
  ): Promise<void> {
    const response = this.#response;
    const source = body?.[Symbol.asyncIterator]();
    try {
      // The header is sent after the first message is available, because the handler may change it
      // until then.
      let step = await source?.next();
      if (header !== undefined) setHeader(response, new Headers(header));
      setHeader(response, late());
      response.writeHead(status);
      for (; step?.done === false; step = await source?.next()) {
        this.#push(step.value);
        if (this.#isFull) await this.#room();
        if (this.#error !== undefined) {
          source?.throw?.(this.#error)?.catch(() => undefined);
          throw this.#error;
        }
      }
      if (this.#error !== undefined) throw this.#error;
      if (trailer !== undefined) {
        response.addTrailers(Object.fromEntries(groupLines(readable(new Headers(trailer)))));
      }
      response.end();
    } finally {
      source?.return?.()?.catch(() => undefined);
    }
  }

  giveUp(): void {
    this.#gone(new Error("the caller did not read its response for too long"));
    const response = this.#response;
    if ("stream" in response) response.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else response.destroy();
  }

  get #isFull(): boolean {
    return this.#bytes >= most.bytes || this.#messages >= most.messages;
  }

  #push(message: Uint8Array): void {
    if (this.#messages === 0) {
      this.#takenAt = monotonicNow();
      this.#untaken.add(this);
    }
    this.#messages++;
    this.#bytes += message.length;
    // Also called when the message can no longer be sent, which `close` reports.
    const taken = () => this.#took(message.length);
    (this.#response as Writable).write(message, taken);
  }

  #took(bytes: number): void {
    if (this.#error !== undefined) return;
    this.#bytes -= bytes;
    this.#takenAt = monotonicNow();
    if (--this.#messages === 0) this.#untaken.delete(this);
    if (this.#onRoom !== undefined && !this.#isFull) this.#go();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#error !== undefined) resolve();
      else this.#onRoom = resolve;
    });
  }

  #go(): void {
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  #gone(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#bytes = 0;
    this.#untaken.delete(this);
    this.#go();
  }
}

/**
 * Decodes what Connect encodes needlessly in a gRPC message, everything that is special in a URL.
 * Some clients decode only what gRPC encodes, and would show `%2F` to their users.
 */
function readable(trailer: Headers): Headers {
  const encoded = trailer.get("grpc-message");
  if (encoded !== null) {
    const encode = (part: string) => encodeURIComponent(part);
    // A header line has no spaces at its ends.
    const text = decodeURIComponent(encoded).replace(/^ | $|[^\x20-\x24\x26-\x7e]+/g, encode);
    trailer.set("grpc-message", text);
  }
  return trailer;
}
