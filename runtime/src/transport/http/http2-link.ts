import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";
import type { HttpLink, HttpLinkOwner, RequestWatch } from "./http-link.ts";
import { type HeaderLine, rawLines } from "./http-metadata.ts";
import { Http2Silence } from "./http2-silence.ts";

/** Requests by HTTP/2, all on one connection. */
export class Http2Link implements HttpLink {
  readonly #session: ClientHttp2Session;
  readonly #origin: string;
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
    const silence = new Http2Silence(session, session.socket, limits, ({ message }) => {
      this.#lost(message);
      session.destroy();
    });
    silence.watch();
    session.on("goaway", () => owner.goingAway());
    session.on("error", (cause) => this.#lost(cause.message, cause));
    session.once("close", () => {
      silence.end();
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
      if (stream.rstCode !== constants.NGHTTP2_CANCEL) return;
      // Node ends the streams of a connection that is gone as if the other side had cancelled each.
      if (this.#session.destroyed) watch.lost();
      else watch.cancelled();
    });
  }

  #lost(what: string, cause?: Error): void {
    this.#reason ??= new MicroError(
      "unavailable",
      `the connection to ${this.#origin} ended: ${what}`,
      cause === undefined ? undefined : { cause },
    );
  }
}

function linesOf(raw: unknown): readonly HeaderLine[] {
  return Array.isArray(raw) ? [...rawLines(raw as readonly string[])] : [];
}
