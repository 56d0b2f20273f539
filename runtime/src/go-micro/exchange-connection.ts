import type { IncomingMessage, ServerResponse } from "node:http";
import { asMicroError, MicroError } from "../base/error.ts";
import { GrowingBuffer } from "../base/growing-buffer.ts";
import { BodyDeadline } from "../transport/body-deadline.ts";
import type { TransportLimits } from "../transport/transport.ts";
import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";
import { type GoMicroMessage, headerName, isSingleLine, type OutgoingHeader } from "./message.ts";
import { malformed, plainBytes } from "./message-reader.ts";
import { writableHeader } from "./message-writer.ts";

/**
 * One go-micro request and its response, on an HTTP/1.1 connection that carried other requests
 * before. Proxies send such requests; go-micro clients do not. A stream requires a connection of
 * its own, so a request that opens one is refused.
 */
export class ExchangeConnection implements GoMicroConnection {
  readonly peer: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #owner: ConnectionOwner;
  readonly #maxBodyBytes: number;
  readonly #deadline: BodyDeadline;
  readonly #body = new GrowingBuffer();
  /** Received data is discarded. */
  #deaf = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    peer: string,
    limits: TransportLimits,
    owner: ConnectionOwner,
  ) {
    this.peer = peer;
    this.#request = request;
    this.#response = response;
    this.#owner = owner;
    this.#maxBodyBytes = limits.maxMessageBytes;
    this.#deadline = new BodyDeadline(limits.handshakeTimeoutMs, (error) => this.#break(error));
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    request.on("data", (bytes: Buffer) => this.#take(bytes));
    request.once("end", () => this.#complete());
    response.once("close", () => {
      this.#deadline.end();
      this.#deaf = true;
      owner.closed();
    });
    this.#deadline.begin();
  }

  readonly blocked = false;

  send(header: OutgoingHeader, body: Uint8Array): void {
    const response = this.#response;
    if (response.headersSent || response.destroyed) return;
    for (const [name, value] of header) response.setHeader(name, writableHeader(value));
    if (!this.#request.complete) response.setHeader("Connection", "close");
    response.setHeader("Content-Length", body.length);
    response.writeHead(200);
    response.end(body);
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    if (!this.#response.headersSent) this.#response.destroy();
  }

  destroy(): void {
    this.#response.destroy();
  }

  #take(bytes: Buffer): void {
    if (this.#deaf) return;
    this.#deadline.received(bytes.length);
    if (this.#body.length + bytes.length <= this.#maxBodyBytes) this.#body.append(bytes);
    else {
      this.#break(
        new MicroError(
          "resource_exhausted",
          `a message is over the limit of ${this.#maxBodyBytes} bytes; send less, or raise maxMessageBytes`,
          { outcome: "not-executed" },
        ),
      );
    }
  }

  #complete(): void {
    this.#deadline.end();
    if (this.#deaf) return;
    this.#deaf = true;
    let header: Map<string, string>;
    try {
      header = this.#header();
    } catch (reason) {
      this.#break(asMicroError(reason));
      return;
    }
    const message: GoMicroMessage = { header, body: plainBytes(this.#body.take()) };
    const stream = headerName.stream.toLowerCase();
    if (header.get(stream) || header.get(`x-${stream}`)) this.#break(noStreams());
    else this.#owner.received(message);
  }

  /** @throws MicroError if a line is repeated that must not be. */
  #header(): Map<string, string> {
    const header = new Map<string, string>();
    const { rawHeaders } = this.#request;
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at]!.toLowerCase();
      // HTTP decides whether the connection stays open.
      if (name === "connection") continue;
      // go-micro uses the first of several lines.
      if (!header.has(name))
        header.set(name, Buffer.from(rawHeaders[at + 1]!, "latin1").toString());
      else if (isSingleLine(name)) throw malformed(`a header has ${name} twice`);
    }
    return header;
  }

  #break(error: MicroError): void {
    this.#deaf = true;
    this.#body.take();
    this.#deadline.end();
    this.#owner.broken(error);
  }
}

function noStreams(): MicroError {
  return new MicroError(
    "unimplemented",
    "a stream of go-micro needs a connection of its own, and this one carried other requests before",
    { outcome: "not-executed" },
  );
}
