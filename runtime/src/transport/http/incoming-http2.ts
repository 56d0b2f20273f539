import type { Socket } from "node:net";
import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { ServerConnection, type ServerConnectionOwner } from "../http2/server-connection.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import type { CallStream } from "./call-stream.ts";
import type { IncomingCall } from "./incoming-call.ts";
import { type CallListener, IncomingConnection } from "./incoming-connection.ts";
import type { IncompleteBytes } from "./incomplete-bytes.ts";
import type { RpcRequest } from "./rpc-request.ts";

/** What a connection reports to its listener. */
export interface IncomingHttp2Owner {
  callBegan(): void;
  callEnded(): void;
  /** Handles a request that is not a call for the dispatcher. */
  otherRequest(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    hasEnded: boolean,
  ): StreamHandler;
  connectionEnded(reason: MicroError, violated: boolean): void;
}

/** Data of this size is passed to the socket without a copy. */
const copiedBytes = 8 * 1024;

const continueFields = [new HeaderField(":status", "100")];

/** The calls of one HTTP/2 connection. */
export class IncomingHttp2Connection extends IncomingConnection implements ServerConnectionOwner {
  readonly http2: ServerConnection;
  readonly #owner: IncomingHttp2Owner;

  constructor(
    socket: Socket,
    peer: ConnectionPeer,
    http2Limits: Http2Limits,
    listener: CallListener,
    incomplete: readonly IncompleteBytes[],
    owner: IncomingHttp2Owner,
  ) {
    super(peer, listener, incomplete);
    this.#owner = owner;
    this.http2 = new ServerConnection(socket, peer.address, http2Limits, this);
  }

  get now(): Deadline {
    return this.http2.now;
  }

  get outputFull(): boolean {
    return this.http2.outputFull;
  }

  copiesNow(stream: Http2Stream, bytes: number): boolean {
    return bytes < copiedBytes && this.http2.sendsNow(stream, bytes);
  }

  protected override callBegan(stream: CallStream, { expectsContinue }: RpcRequest): void {
    this.#owner.callBegan();
    if (expectsContinue) stream.head(undefined, continueFields);
  }

  override callEnded(call: IncomingCall): void {
    super.callEnded(call);
    this.#owner.callEnded();
  }

  requested(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    hasEnded: boolean,
  ): StreamHandler {
    const request = this.requestOf(head, list);
    const call = request === undefined ? undefined : this.begin(stream, request, hasEnded);
    return call ?? this.#owner.otherRequest(stream, head, list, hasEnded);
  }

  connectionEnded(_connection: ServerConnection, reason: MicroError, violated: boolean): void {
    this.#owner.connectionEnded(reason, violated);
  }
}
