import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { Duplex } from "node:stream";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { MicroError } from "../../base/error.ts";
import { type HeaderLine, rawLines } from "../http-headers.ts";
import type { TransportLimits } from "../transport.ts";
import { Http2Keepalive } from "./http2-keepalive.ts";
import type { HttpLink, HttpLinkOwner, RequestWatch } from "./link.ts";

/** Sends requests over HTTP/2, all on one connection. */
export class Http2Link implements HttpLink {
  readonly #session: ClientHttp2Session;
  readonly #socket: Duplex;
  readonly #closeTimeoutMs: number;
  readonly #origin: string;
  readonly #authority: string;
  #reason: MicroError | undefined;
  /**
   * The last stream that the peer may have processed, once a GOAWAY with an error code states it.
   */
  #lastStream = Number.POSITIVE_INFINITY;

  /**
   * @param session a session whose preface has had a response.
   * @param socket the session's socket, which Node exposes only when it connects.
   */
  constructor(
    session: ClientHttp2Session,
    socket: Duplex,
    url: URL,
    limits: TransportLimits,
    owner: HttpLinkOwner,
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#closeTimeoutMs = limits.keepaliveTimeoutMs;
    this.#origin = url.origin;
    this.#authority = url.host;
    const silence = new Http2Keepalive(session, session.socket, limits, ({ message }) => {
      this.#lost(message);
      session.destroy();
    });
    silence.watch();
    session.on("goaway", (code: number, lastStream: number) => {
      if (code !== constants.NGHTTP2_NO_ERROR) this.#lastStream = lastStream;
      owner.goingAway();
    });
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
            // Node's own default omits the brackets of an IPv6 address.
            {
              ...lines,
              ":authority": this.#authority,
              ":method": method,
              ":path": path,
            } as Parameters<ClientHttp2Session["request"]>[0],
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
    if (this.#session.closed) return;
    this.#session.close();
    // Node waits for the peer to close the connection too, which a lost host never does.
    const timer = setTimeout(() => this.#socket.destroy(), this.#closeTimeoutMs).unref();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  destroy(reason: MicroError): void {
    this.#reason ??= reason;
    // Deferred: Node may loop forever when a session is destroyed while it handles frames that it
    // has read.
    setImmediate(() => {
      // A closed session waits for the peer, and destroying it again has no effect.
      if (this.#session.closed) this.#socket.destroy();
      this.#session.destroy();
    });
  }

  #watch(stream: ClientHttp2Stream, watch: RequestWatch): void {
    if (stream.pending) stream.once("ready", () => watch.sent());
    else watch.sent();
    let responded = false;
    stream.once("response", (...[, , raw]: unknown[]) => {
      responded = true;
      watch.header(linesOf(raw));
    });
    stream.once("trailers", (...[, , raw]: unknown[]) => watch.trailers(linesOf(raw)));
    stream.once("close", () => {
      // Without an error code, Node emits no event that would end the wait for the response.
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR && !responded) watch.unanswered();
      // Node reports streams beyond a GOAWAY as refused, except for a GOAWAY with an error code:
      // then it destroys the session.
      const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
      if (refused || (stream.id ?? 0) > this.#lastStream) watch.refused();
      if (stream.rstCode !== constants.NGHTTP2_CANCEL) return;
      // Node ends the streams of a lost connection as if the peer had cancelled each; until version
      // 20.20, before it destroys the session.
      if (this.#session.destroyed || this.#socket.destroyed) watch.lost();
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
