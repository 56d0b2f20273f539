import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";
import type { HttpLink, HttpLinkOwner, RequestWatch } from "./http-link.ts";
import { type HeaderLine, rawLines } from "./http-metadata.ts";

/** Requests by HTTP/2, all on one connection. */
export class Http2Link implements HttpLink {
  readonly #session: ClientHttp2Session;
  readonly #origin: string;
  readonly #limits: TransportLimits;
  #timer: NodeJS.Timeout;
  #bytesSeen = 0;
  #reason: MicroError | undefined;

  /** @param session one whose preface has been answered. */
  constructor(
    session: ClientHttp2Session,
    url: URL,
    limits: TransportLimits,
    owner: HttpLinkOwner,
  ) {
    this.#session = session;
    this.#origin = url.origin;
    this.#limits = limits;
    this.#timer = this.#watchSilence();
    session.on("goaway", () => owner.goingAway());
    session.on("error", (cause) => this.#lost(cause.message, cause));
    session.once("close", () => {
      clearTimeout(this.#timer);
      this.#lost("it was closed by the other side");
      owner.linkClosed(this.#reason!);
    });
  }

  client(watch: RequestWatch): UniversalClientFn {
    return createNodeHttpClient({
      httpVersion: "2",
      sessionProvider: () => ({
        authority: this.#origin,
        request: async (method, path, headers, options) => {
          const lines = { ...headers, ...Object.fromEntries(watch.repeated) };
          const stream = this.#session.request(
            { ...lines, ":method": method, ":path": path } as Parameters<
              ClientHttp2Session["request"]
            >[0],
            options,
          );
          this.#watch(stream, watch);
          return stream;
        },
        notifyResponseByteRead: () => undefined,
      }),
    });
  }

  finish(reason: MicroError): void {
    this.#reason ??= reason;
    if (!this.#session.closed) this.#session.close();
  }

  destroy(reason: MicroError): void {
    this.#reason ??= reason;
    this.#session.destroy();
  }

  #watch(stream: ClientHttp2Stream, watch: RequestWatch): void {
    if (stream.pending) stream.once("ready", () => watch.sent());
    else watch.sent();
    stream.once("response", (...[, , raw]: unknown[]) => watch.header(linesOf(raw)));
    stream.once("trailers", (...[, , raw]: unknown[]) => watch.trailers(linesOf(raw)));
    stream.once("close", () => {
      if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) watch.refused();
      if (stream.rstCode === constants.NGHTTP2_CANCEL) watch.cancelled();
    });
  }

  #lost(what: string, cause?: Error): void {
    this.#reason ??= new MicroError(
      "unavailable",
      `the connection to ${this.#origin} ended: ${what}`,
      cause === undefined ? undefined : { cause },
    );
  }

  #watchSilence(): NodeJS.Timeout {
    clearTimeout(this.#timer);
    return setTimeout(() => this.#check(), this.#limits.keepaliveIntervalMs).unref();
  }

  #check(): void {
    const session = this.#session;
    if (session.destroyed) return;
    const { bytesRead } = session.socket;
    const heard = bytesRead !== this.#bytesSeen;
    this.#bytesSeen = bytesRead;
    if (heard) {
      this.#timer = this.#watchSilence();
      return;
    }
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    this.#timer = setTimeout(() => {
      this.#lost(
        `nothing was heard for ${keepaliveIntervalMs} ms, nor a PING answered within ${keepaliveTimeoutMs} ms`,
      );
      session.destroy();
    }, keepaliveTimeoutMs).unref();
    session.ping(() => {
      if (!session.destroyed) this.#timer = this.#watchSilence();
    });
  }
}

function linesOf(raw: unknown): readonly HeaderLine[] {
  return Array.isArray(raw) ? [...rawLines(raw as readonly string[])] : [];
}
