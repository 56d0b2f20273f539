import type { Socket } from "node:net";
import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { Format } from "../../codec/codec.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { ServerConnection, type ServerConnectionOwner } from "../http2/server-connection.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import { connectRequest, isConnectUnary } from "./connect/connect-request.ts";
import { IncomingConnectUnary } from "./connect/incoming-connect-unary.ts";
import { grpcRequest, isGrpc } from "./grpc/grpc-request.ts";

import { IncomingGrpcStream } from "./grpc/incoming-stream.ts";
import { IncomingGrpcUnary } from "./grpc/incoming-unary.ts";
import type { CallConnection, Http2Call } from "./http2-call.ts";
import type { RequestHeader } from "./request-header.ts";

/** The listener that accepted a connection. */
export interface RpcConnectionOwner {
  /** Where it listens. */
  readonly address: string;
  readonly dispatcher: Dispatcher;
  /** Messages of at least this size are compressed, in bytes. */
  readonly compressMinBytes: number;
  /** The largest request, in bytes. */
  readonly maxRequestBytes: number;
  /** To how many times their size compressed requests may inflate. */
  readonly maxInflationRatio: number;
  /** Messages in JSON. */
  readonly json: Format;
  /** Whether a call for these host names and this path is one for {@link dispatcher}. */
  accepts(protocol: "connect" | "grpc", hosts: readonly string[], path: string): boolean;
  /** Counts memory of incomplete messages, in bytes. Returns the error if there is no room. */
  holdIncomplete(bytes: number): MicroError | undefined;
  callBegan(): void;
  callEnded(connection: RpcConnection): void;
  /** Handles a request that is not a plain call of gRPC, or of a unary method by Connect. */
  otherRequest(
    stream: Http2Stream,
    head: MessageHead,
    list: HeaderList,
    hasEnded: boolean,
  ): StreamHandler;
  connectionEnded(connection: RpcConnection, reason: MicroError, violated: boolean): void;
}

/** Data of this size is passed to the socket without a copy. */
const copiedBytes = 8 * 1024;

/**
 * Accepts calls by gRPC, and of unary methods by Connect, from one HTTP/2 connection, and passes
 * them to the dispatcher.
 */
export class RpcConnection implements CallConnection, ServerConnectionOwner {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly messageGraceMs: number;
  readonly http2: ServerConnection;
  readonly maxUnreadCost: number;
  unreadCost = 0;
  readonly #owner: RpcConnectionOwner;
  readonly #peer: ConnectionPeer;
  readonly #calls = new Set<Http2Call>();

  constructor(
    socket: Socket,
    peer: ConnectionPeer,
    limits: TransportLimits,
    http2Limits: Http2Limits,
    owner: RpcConnectionOwner,
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

  callEnded(call: Http2Call): void {
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
    const call = isGrpc(head, list)
      ? this.#grpcCall(stream, head, list)
      : isConnectUnary(head, list)
        ? this.#connectCall(stream, head, list)
        : undefined;
    if (call === undefined) return owner.otherRequest(stream, head, list, hasEnded);
    this.#calls.add(call);
    owner.callBegan();
    stream.handler = call;
    call.start();
    if (hasEnded) call.onEnd();
    return call;
  }

  #grpcCall(stream: Http2Stream, head: MessageHead, list: HeaderList): Http2Call | undefined {
    const request = grpcRequest(head, list);
    const method = this.#method("grpc", head, request);
    if (method === undefined) return undefined;
    if (method.kind === "unary") {
      return new IncomingGrpcUnary(this, stream, method, this.#peer, request);
    }
    // Compressed messages of streams are inflated one after another, which Connect does.
    if (request.encoding !== undefined) return undefined;
    return new IncomingGrpcStream(this, stream, method, this.#peer, request);
  }

  #connectCall(stream: Http2Stream, head: MessageHead, list: HeaderList): Http2Call | undefined {
    const request = connectRequest(head, list);
    const method = this.#method("connect", head, request);
    if (method?.kind !== "unary") return undefined;
    const { input, output } = method;
    if (request.encoding === "binary") {
      return new IncomingConnectUnary(this, stream, method, this.#peer, request, undefined);
    }
    if (input.schema === undefined || output.schema === undefined) return undefined;
    const { json } = this.#owner;
    const codecs = { input: json.codecFor(input), output: json.codecFor(output) };
    return new IncomingConnectUnary(this, stream, method, this.#peer, request, codecs);
  }

  /** Returns the method of a call that needs nothing else. */
  #method(
    protocol: "connect" | "grpc",
    { path }: MessageHead,
    request: RequestHeader,
  ): AnyMethod | undefined {
    request.isAccepted ??= request.isPlain && this.#owner.accepts(protocol, request.hosts, path);
    return request.isAccepted ? this.dispatcher.method(request.name) : undefined;
  }

  /** Ends the open calls with an error. */
  refuseAll(error: MicroError): void {
    for (const call of [...this.#calls]) call.refuse(error);
  }

  connectionEnded(_connection: ServerConnection, reason: MicroError, violated: boolean): void {
    this.#owner.connectionEnded(this, reason, violated);
  }
}
