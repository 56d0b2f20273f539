import { constants } from "node:http2";
import type { Writable } from "node:stream";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { monotonicNow } from "../../deadline.ts";
import { groupLines, type HeaderLine, setHeader } from "./http-metadata.ts";
import type { HttpResponse } from "./http-request.ts";
import type { UntakenAnswer, UntakenAnswers } from "./untaken-answers.ts";

/**
 * What of one answer may wait for its caller: so many bytes, beyond the message that fills them up, and so many
 * messages, because each costs Node some hundred bytes of its own.
 */
const most = { bytes: 32 * 1024, messages: 32 };

/** Writes one answer no faster than its caller takes it, and knows what he has not taken. */
export class AnswerWriter implements UntakenAnswer {
  readonly #response: HttpResponse;
  readonly #untaken: UntakenAnswers;
  #bytes = 0;
  #messages = 0;
  #takenAt = 0;
  #error: Error | undefined;
  #onRoom: (() => void) | undefined;

  constructor(response: HttpResponse, untaken: UntakenAnswers) {
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
   * Resolves when the end is written. Throws when the caller is gone before, which the body is told.
   *
   * @param late what the header has beside, asked for when the first message is there
   */
  async write(
    { status, header, body, trailer }: UniversalServerResponse,
    late: () => Iterable<HeaderLine>,
  ): Promise<void> {
    const response = this.#response;
    const source = body?.[Symbol.asyncIterator]();
    try {
      // The header comes after the first message, before which its handler may still change it.
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
    this.#gone(new Error("the caller took nothing of its answer for too long"));
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
    // Also called when it cannot be taken any more, which `close` tells.
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
 * Connect encodes of a gRPC message all that a URL could take for something else. Some clients decode no more than what gRPC
 * encodes, and would show `%2F` to their users.
 */
function readable(trailer: Headers): Headers {
  const encoded = trailer.get("grpc-message");
  if (encoded !== null) {
    const encode = (part: string) => encodeURIComponent(part);
    // A line has no blanks at its ends.
    const text = decodeURIComponent(encoded).replace(/^ | $|[^\x20-\x24\x26-\x7e]+/g, encode);
    trailer.set("grpc-message", text);
  }
  return trailer;
}
