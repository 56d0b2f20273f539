import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import type { HeaderField } from "./hpack/header-field.ts";
import type { HeaderList } from "./hpack/header-list.ts";
import type { HeaderTemplate } from "./hpack/header-template.ts";
import type { Http2Limits } from "./limits.ts";
import { messageHead } from "./message-head.ts";
import { lastStreamId } from "./protocol.ts";
import type { Http2Stream, StreamHandler } from "./stream.ts";
import { StreamingConnection } from "./stream-connection.ts";

/** The channel that uses a connection. */
export interface ClientConnectionOwner {
  /** Called when the server has sent its settings. */
  connected?(connection: ClientConnection): void;
  /**
   * Called once, when no further requests can be opened; those that are open may still end.
   *
   * @param text what the server says about it; empty if it did not say anything
   */
  goingAway?(connection: ClientConnection, text: string): void;
  /** Called when requests can be opened that were too many before. */
  hasCapacity?(connection: ClientConnection): void;
  connectionEnded(connection: ClientConnection, reason: MicroError, violated: boolean): void;
}

/** The client's end of a connection. */
export class ClientConnection extends StreamingConnection {
  readonly remote: string;
  readonly #owner: ClientConnectionOwner;
  #nextStream = 1;
  #goingAway = false;

  constructor(socket: Socket, remote: string, limits: Http2Limits, owner: ClientConnectionOwner) {
    super(socket, { ...limits, idleTimeoutMs: Number.POSITIVE_INFINITY }, false);
    this.remote = remote;
    this.#owner = owner;
    this.start(0);
  }

  /** How many requests may be opened now. */
  get capacity(): number {
    if (this.ended || this.#goingAway) return 0;
    return Math.max(0, this.peerSettings.maxConcurrentStreams - this.openStreams);
  }

  /**
   * Opens a request, with `end` one without a body.
   *
   * @throws MicroError `unavailable` without {@link capacity}, and `invalid_argument` for a field
   * that HTTP does not allow
   */
  request(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
    handler: StreamHandler,
  ): Http2Stream {
    if (this.capacity === 0) {
      throw new MicroError(
        "unavailable",
        `the connection to ${this.remote} accepts no further requests now`,
        { outcome: "not-executed" },
      );
    }
    const stream = this.add(this.#nextStream, handler);
    try {
      stream.head(template, fields, end);
    } catch (error) {
      this.streams.delete(stream.id);
      stream.closed = true;
      throw error;
    }
    this.guard.requested();
    this.#nextStream += 2;
    if (this.#nextStream > lastStreamId) this.#goAwaySoon();
    return stream;
  }

  /** Opens no further requests, and closes the connection when the open ones have ended. */
  drain(): void {
    this.#goAwaySoon();
  }

  /** Ends the open requests, and the connection. */
  close(reason: MicroError): void {
    if (this.ended) return;
    for (const stream of [...this.streams.values()]) stream.reset(errorCode.cancel);
    this.goAway(0, errorCode.noError, "");
    this.finish(reason);
  }

  idle(): void {
    // A client keeps its connections.
  }

  protected get lastPeerStream(): number {
    return 0;
  }

  protected override settingsChanged(isFirst = false): void {
    super.settingsChanged();
    if (isFirst) this.#owner.connected?.(this);
    else if (this.capacity > 0) this.#owner.hasCapacity?.(this);
  }

  protected openedByPeer(id: number): void {
    if (!this.wasOpened(id)) {
      throw new ConnectionError(errorCode.protocolError, `received HEADERS on stream ${id}`);
    }
    this.checkClosed(id);
    this.guard.idleFrame();
  }

  protected headReceived(stream: Http2Stream, list: HeaderList, endStream: boolean): void {
    const head = messageHead(list, "response");
    const isInformational = head !== undefined && head.status < 200;
    if (head === undefined || (isInformational && (endStream || head.status === 101))) {
      this.streamError(stream, errorCode.protocolError);
      return;
    }
    if (isInformational) {
      this.guard.idleFrame();
      return;
    }
    stream.hasHead = true;
    // These never have a body, whatever length they announce.
    stream.isBodiless ||= head.status === 204 || head.status === 304;
    if (!stream.isBodiless) stream.expectedBytes = head.contentLength;
    if (endStream && stream.expectedBytes > 0) {
      this.streamError(stream, errorCode.protocolError);
      return;
    }
    stream.handler.onHead(stream, head, list);
    if (endStream && !stream.closed) this.remoteEnded(stream, undefined);
  }

  protected wasOpened(id: number): boolean {
    return (id & 1) === 1 && id < this.#nextStream;
  }

  protected streamClosed(): void {
    if (this.#goingAway) this.#closeWhenIdle();
    else if (this.capacity > 0) this.#owner.hasCapacity?.(this);
  }

  /** Streams that the server did not process fail as such, so that they can be sent elsewhere. */
  protected wentAway(lastStream: number, code: number, text: string): void {
    this.#goAwaySoon(text);
    for (const stream of [...this.streams.values()]) {
      if (stream.id > lastStream) this.abort(stream, errorCode.refusedStream, "peer");
    }
    if (code === errorCode.noError || this.ended) return;
    this.end(new MicroError("unavailable", `${this.remote} ended the connection: ${text}`));
  }

  protected drainPinged(): void {
    // Only servers send that PING.
  }

  protected connectionEnded(reason: MicroError, violated: boolean): void {
    this.abortAll();
    this.#owner.connectionEnded(this, reason, violated);
  }

  #goAwaySoon(text = ""): void {
    if (this.#goingAway || this.ended) return;
    this.#goingAway = true;
    this.#owner.goingAway?.(this, text);
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (this.openStreams > 0 || this.ended) return;
    this.goAway(0, errorCode.noError, "");
    this.finish(
      new MicroError("unavailable", `the connection to ${this.remote} was drained`, {
        outcome: "not-executed",
      }),
    );
  }
}
