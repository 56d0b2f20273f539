import type { Socket } from "node:net";
import type { Deadline } from "../../../base/deadline.ts";
import type { MicroError } from "../../../base/error.ts";
import type { ConnectionPeer } from "../../../call/connection-peer.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { Http2Limits } from "../../http2/limits.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import { ServerConnection, type ServerConnectionOwner } from "../../http2/server-connection.ts";
import type { Http2Stream, StreamHandler } from "../../http2/stream.ts";
import type { Dispatcher, TransportLimits } from "../../transport.ts";
import { grpcRequest, isGrpc } from "./grpc-request.ts";
import type { GrpcCalls, IncomingGrpcCall } from "./incoming-call.ts";
import { IncomingGrpcStream } from "./incoming-stream.ts";
import { IncomingGrpcUnary } from "./incoming-unary.ts";

/** The listener that accepted a connection. */
export interface GrpcConnectionOwner {
  /** Where it listens. */
  readonly address: string;
  readonly dispatcher: Dispatcher;
  /** Messages of at least this size are compressed, in bytes. */
  readonly compressMinBytes: number;
  /** The largest request, in bytes. */
  readonly maxRequestBytes: number;
  /** To how many times their size compressed requests may inflate. */
  readonly maxInflationRatio: number;
  /** Whether a call for these host names and this path is one for {@link dispatcher}. */
  accepts(hosts: readonly string[], path: string): boolean;
  /** Counts memory of incomplete messages, in bytes. Returns the error if there is no room. */
  holdIncomplete(bytes: number): MicroError | undefined;
  callBegan(): void;
  callEnded(connection: GrpcConnection): void;
  /** Handles a request that is not a gRPC call. */
  otherRequest(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    hasEnded: boolean,
  ): StreamHandler;
  connectionEnded(connection: GrpcConnection, reason: MicroError, violated: boolean): void;
}

/** Data of this size is passed to the socket without a copy. */
const copiedBytes = 8 * 1024;

/** Accepts gRPC calls from one HTTP/2 connection, and passes them to the dispatcher. */
export class GrpcConnection implements GrpcCalls, ServerConnectionOwner {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly messageGraceMs: number;
  readonly http2: ServerConnection;
  readonly maxUnreadCost: number;
  unreadCost = 0;
  readonly #owner: GrpcConnectionOwner;
  readonly #peer: ConnectionPeer;
  readonly #calls = new Set<IncomingGrpcCall>();

  constructor(
    socket: Socket,
    peer: ConnectionPeer,
    limits: TransportLimits,
    http2Limits: Http2Limits,
    owner: GrpcConnectionOwner,
  ) {
    this.limits = limits;
    this.dispatcher = owner.dispatcher;
    this.messageGraceMs = limits.keepaliveIntervalMs + limits.keepaliveTimeoutMs;
    this.maxUnreadCost = Math.max(1024 * limits.streamWindowBytes, 4 * limits.maxMessageBytes);
    this.#owner = owner;
    this.#peer = peer;
    this.http2 = new ServerConnection(socket, peer.address, http2Limits, this);
  }

  get now(): Deadline {
    return this.http2.now;
  }

  get compressMinBytes(): number {
    return this.#owner.compressMinBytes;
  }

  get maxRequestBytes(): number {
    return this.#owner.maxRequestBytes;
  }

  get maxInflationRatio(): number {
    return this.#owner.maxInflationRatio;
  }

  get outputFull(): boolean {
    return this.http2.outputFull;
  }

  copiesNow(stream: Http2Stream, bytes: number): boolean {
    return bytes < copiedBytes && this.http2.sendsNow(stream, bytes);
  }

  holdIncomplete(bytes: number): MicroError | undefined {
    return this.#owner.holdIncomplete(bytes);
  }

  callEnded(call: IncomingGrpcCall): void {
    this.#calls.delete(call);
    this.#owner.callEnded(this);
  }

  requested(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    hasEnded: boolean,
  ): StreamHandler {
    const owner = this.#owner;
    const request = isGrpc(head, list) ? grpcRequest(head, list) : undefined;
    const method = request?.isPlain === true ? this.dispatcher.method(request.name) : undefined;
    // Compressed messages of streams are inflated one after another, which Connect does.
    const isInflated = request?.encoding !== undefined && method?.kind !== "unary";
    if (method === undefined || isInflated || !owner.accepts(request!.hosts, head.path)) {
      return owner.otherRequest(stream, head, list, hasEnded);
    }
    const call =
      method.kind === "unary"
        ? new IncomingGrpcUnary(this, stream, method, this.#peer, request!)
        : new IncomingGrpcStream(this, stream, method, this.#peer, request!);
    this.#calls.add(call);
    owner.callBegan();
    stream.handler = call;
    call.start();
    if (hasEnded) call.onEnd();
    return call;
  }

  /** Ends the open calls with an error. */
  refuseAll(error: MicroError): void {
    for (const call of [...this.#calls]) call.refuse(error);
  }

  connectionEnded(_connection: ServerConnection, reason: MicroError, violated: boolean): void {
    this.#owner.connectionEnded(this, reason, violated);
  }
}
