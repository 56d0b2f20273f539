import type { IncomingMessage, ServerResponse } from "node:http";
import { type Deadline, turnNow } from "../../base/deadline.ts";
import { type OutputHolder, unreadOutput } from "../../base/unread-output.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { MessageHead } from "../http2/message-head.ts";
import type { DueStreams } from "./due-streams.ts";
import { type CallListener, IncomingConnection } from "./incoming-connection.ts";
import { type Http1StreamConnection, IncomingHttp1Stream } from "./incoming-http1-stream.ts";
import type { IncompleteBytes } from "./incomplete-bytes.ts";
import { headerListOf } from "./raw-headers.ts";
import type { StalledResponses } from "./stalled-responses.ts";

/** The calls of one HTTP/1.1 connection. */
export class IncomingHttp1Connection
  extends IncomingConnection
  implements Http1StreamConnection, OutputHolder
{
  readonly windowBytes: number;
  readonly stalled: StalledResponses;
  readonly due: DueStreams;
  unsentBytes = 0;
  readonly #listener: CallListener;
  readonly #maxUnsentBytes: number;
  #retired = false;
  /** The response to the request that arrived last. */
  #latest: ServerResponse | undefined;

  /**
   * @param maxUnsentBytes of responses that the client has not read, beyond which no further one is
   * buffered
   */
  constructor(
    peer: ConnectionPeer,
    listener: CallListener,
    incomplete: readonly IncompleteBytes[],
    stalled: StalledResponses,
    due: DueStreams,
    maxUnsentBytes: number,
  ) {
    super(peer, listener, incomplete);
    this.#listener = listener;
    this.windowBytes = listener.limits.streamWindowBytes;
    this.stalled = stalled;
    this.due = due;
    this.#maxUnsentBytes = maxUnsentBytes;
  }

  get now(): Deadline {
    return turnNow();
  }

  get outputFull(): boolean {
    return this.unsentBytes > this.#maxUnsentBytes || unreadOutput.isFull(this);
  }

  /** Whether the connection is closed after the next response. */
  get closesSoon(): boolean {
    return this.#retired || this.#listener.draining;
  }

  /** A response that others follow is not the last one: they would be lost. */
  endsWith(response: ServerResponse): boolean {
    return this.closesSoon && response === this.#latest;
  }

  /** Lets the next response tell the client that it is the last one. */
  retire(): void {
    this.#retired = true;
  }

  /** Node copies nothing. */
  copiesNow(): boolean {
    return false;
  }

  /** Called when the connection is lost, and its responses with it. */
  closed(): void {
    unreadOutput.forget(this);
  }

  /** Begins the call of a request; returns false for a request that is not one. */
  requested(request: IncomingMessage, response: ServerResponse): boolean {
    this.#latest = response;
    const list = headerListOf(request.rawHeaders);
    const header = this.requestOf(headOf(request, list), list);
    if (header === undefined) return false;
    const hasBody = hasBodyOf(request);
    const stream = new IncomingHttp1Stream(request, response, this);
    if (this.begin(stream, header, !hasBody) === undefined) return false;
    stream.open(hasBody);
    return true;
  }
}

function headOf({ method = "", url = "" }: IncomingMessage, list: HeaderList): MessageHead {
  const length = list.get("content-length");
  return {
    method,
    scheme: "http",
    // The line `host` names it.
    authority: "",
    path: url,
    status: 0,
    contentLength: length === undefined ? -1 : Number(length),
    firstField: 0,
  };
}

function hasBodyOf({ headers }: IncomingMessage): boolean {
  const { "content-length": length = "0", "transfer-encoding": coding } = headers;
  return coding !== undefined || Number(length) > 0;
}
