import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import type { HeaderList } from "./hpack/header-list.ts";
import type { Http2Limits } from "./limits.ts";
import { type MessageHead, messageHead } from "./message-head.ts";
import { frameType, lastStreamId } from "./protocol.ts";
import { type Http2Stream, ignoringHandler, type StreamHandler } from "./stream.ts";
import { StreamingConnection } from "./stream-connection.ts";

/** The listener that accepted a connection. */
export interface ServerConnectionOwner {
  /**
   * Accepts a request and returns what receives its body. A request without a body has ended
   * already.
   */
  requested(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    hasEnded: boolean,
  ): StreamHandler;
  /** Called when a stream was closed. */
  streamClosed?(connection: ServerConnection, stream: Http2Stream): void;
  connectionEnded(connection: ServerConnection, reason: MicroError, violated: boolean): void;
}

/**
 * Requests that are accepted in a row. One chunk can hold thousands, whose responses would all be
 * written before any could be detected as unread.
 */
const requestsAtOnce = 64;

/** How long the peer may take to read that the connection is about to close, in milliseconds. */
const goodbyeMs = 1_000;
/**
 * How long a connection that accepts no further requests stays open after its last response, in
 * milliseconds. A client that reads the end of the connection together with a response may treat
 * the response as lost, as grpc-js does.
 */
const lastResponseMs = 250;

/** The server's end of a connection. */
export class ServerConnection extends StreamingConnection {
  readonly remote: string;
  readonly #owner: ServerConnectionOwner;
  #lastStream = 0;
  /** No streams after this one are accepted. */
  #lastAccepted = lastStreamId;
  /** Whether the client has sent GOAWAY. */
  #clientLeaves = false;
  /** Requests since reading was last paused, or a turn began. */
  #taken = 0;
  #turn = 0;
  #drained: Promise<void> | undefined;
  #settleDrained: () => void = () => undefined;
  #goodbye: NodeJS.Timeout | undefined;

  constructor(socket: Socket, remote: string, limits: Http2Limits, owner: ServerConnectionOwner) {
    super(socket, limits, true);
    this.remote = remote;
    this.#owner = owner;
    this.start(limits.maxConcurrentStreams);
  }

  /**
   * Tells the client to send no further requests, and closes the connection after the last
   * response.
   *
   * @param acceptsCrossing whether requests that are under way when the client reads it are still
   * accepted; otherwise the client learns that they were not processed
   */
  drain(acceptsCrossing = true): Promise<void> {
    if (this.#drained === undefined) {
      this.#drained = new Promise((resolve) => {
        this.#settleDrained = resolve;
      });
      if (this.ended) this.#settleDrained();
      else if (acceptsCrossing) {
        this.goAway(lastStreamId, errorCode.noError, "draining");
        this.pingBeforeGoodbye();
        this.#goodbye = setTimeout(() => this.#acceptNoMore(), goodbyeMs).unref();
      }
    }
    if (!acceptsCrossing) this.#acceptNoMore();
    return this.#drained;
  }

  /** Ends the open streams, and the connection. */
  close(reason: MicroError): void {
    if (this.ended) return;
    for (const stream of [...this.streams.values()]) stream.reset(errorCode.cancel);
    this.goAway(this.#lastStream, errorCode.noError, reason.message);
    this.finish(reason);
  }

  /**
   * Stops a request whose response is complete (RFC 9113 section 8.1). In a later turn, because its
   * end is often in the same chunk as its beginning, and because Node's client may never finish a
   * stream whose response and reset it reads together.
   */
  override sentAll(stream: Http2Stream): void {
    super.sentAll(stream);
    if (!stream.closed) setImmediate(stopRequest, stream);
  }

  idle(): void {
    void this.drain();
  }

  protected get lastPeerStream(): number {
    return this.#lastStream;
  }

  protected openedByPeer(id: number, list: HeaderList, endStream: boolean): void {
    if ((id & 1) === 0) {
      throw new ConnectionError(errorCode.protocolError, `received HEADERS on stream ${id}`);
    }
    if (id <= this.#lastStream) {
      this.checkClosed(id);
      this.guard.idleFrame();
      return;
    }
    this.#lastStream = id;
    this.guard.opened();
    if (id > this.#lastAccepted) {
      // The client did nothing wrong: this crosses the announcement.
      this.closedStreams.add(id, true);
      this.writer.number(frameType.resetStream, id, errorCode.refusedStream);
      return;
    }
    if (this.openStreams >= this.limits.maxConcurrentStreams) {
      this.refuse(id, errorCode.refusedStream);
      return;
    }
    if (list.isTooLarge) {
      this.refuse(id, errorCode.enhanceYourCalm);
      return;
    }
    const head = messageHead(list, "request");
    if (head === undefined || (endStream && head.contentLength > 0)) {
      this.refuse(id, errorCode.protocolError);
      return;
    }
    this.#accept(this.add(id, ignoringHandler), head, list, endStream);
  }

  /** A request has its header when its stream is opened, so all further ones are trailers. */
  protected headReceived(): void {
    throw new ConnectionError(errorCode.internalError, "a request has no header");
  }

  protected wasOpened(id: number): boolean {
    return (id & 1) === 1 && id <= this.#lastStream;
  }

  protected streamClosed(stream: Http2Stream): void {
    this.#owner.streamClosed?.(this, stream);
    if (this.#clientLeaves || this.#lastAccepted !== lastStreamId) this.#closeWhenIdle();
  }

  protected wentAway(): void {
    this.#clientLeaves = true;
    this.#closeWhenIdle();
  }

  protected drainPinged(): void {
    if (this.#drained !== undefined) this.#acceptNoMore();
  }

  protected connectionEnded(reason: MicroError, violated: boolean): void {
    clearTimeout(this.#goodbye);
    this.abortAll();
    this.#settleDrained();
    this.#owner.connectionEnded(this, reason, violated);
  }

  #accept(stream: Http2Stream, head: MessageHead, list: HeaderList, endStream: boolean): void {
    stream.hasHead = true;
    stream.expectedBytes = head.contentLength;
    stream.remoteEnded = endStream;
    this.#countTaken();
    const handler = this.#owner.requested(stream, head, list, endStream);
    if (!stream.closed) stream.handler = handler;
  }

  #countTaken(): void {
    if (this.now !== this.#turn) {
      this.#turn = this.now;
      this.#taken = 0;
    }
    if (++this.#taken === requestsAtOnce) {
      this.#taken = 0;
      this.restReading();
    }
  }

  /** Names the last stream that is accepted. */
  #acceptNoMore(): void {
    clearTimeout(this.#goodbye);
    if (this.ended || this.#lastAccepted !== lastStreamId) return;
    this.#lastAccepted = this.#lastStream;
    this.goAway(this.#lastStream, errorCode.noError, "draining");
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (this.openStreams > 0 || this.ended) return;
    clearTimeout(this.#goodbye);
    const reason = new MicroError("unavailable", "the connection was drained");
    this.#goodbye = setTimeout(() => {
      if (this.openStreams === 0) this.finish(reason);
    }, lastResponseMs).unref();
  }
}

function stopRequest(stream: Http2Stream): void {
  stream.reset(errorCode.noError);
}
