import type { Socket } from "node:net";
import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { Format } from "../../codec/codec.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { ServerConnection, type ServerConnectionOwner } from "../http2/server-connection.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import { IncomingConnectUnary } from "./connect/incoming-connect-unary.ts";
import type { JsonCodecs } from "./encode-message.ts";
import { IncomingEnvelopedStream } from "./enveloped/incoming-stream.ts";
import { IncomingEnvelopedUnary } from "./enveloped/incoming-unary.ts";
import type { CallConnection, Http2Call } from "./http2-call.ts";
import { type RpcRequest, rpcRequest } from "./rpc-request.ts";

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
  /**
   * Returns the fields that the header of a call's response has in addition to those of its
   * protocol; undefined if the call is not one for {@link dispatcher}.
   */
  responseFieldsFor(request: RpcRequest): readonly HeaderField[] | undefined;
  /** Counts memory of incomplete messages, in bytes. Returns the error if there is no room. */
  holdIncomplete(bytes: number): MicroError | undefined;
  callBegan(): void;
  callEnded(connection: RpcConnection): void;
  /** Handles a request that is not a plain call. */
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

/** Accepts calls from one HTTP/2 connection, and passes them to the dispatcher. */
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
    const request = rpcRequest(head, list);
    const call = request === undefined ? undefined : this.#call(stream, request, hasEnded);
    if (call === undefined) return owner.otherRequest(stream, head, list, hasEnded);
    this.#calls.add(call);
    owner.callBegan();
    stream.handler = call;
    call.start();
    if (hasEnded) call.onEnd();
    return call;
  }

  /** Creates a call; undefined if the request needs something else. */
  #call(stream: Http2Stream, request: RpcRequest, hasEnded: boolean): Http2Call | undefined {
    const method = this.#accepts(request) ? this.dispatcher.method(request.name) : undefined;
    if (method === undefined) return undefined;
    const isGet = request.message !== undefined;
    if (isGet && !(hasEnded && method.idempotency === "no_side_effects")) return undefined;
    const json = request.encoding === "json" ? this.#jsonCodecs(method) : undefined;
    if (request.encoding === "json" && json === undefined) return undefined;
    const isUnary = method.kind === "unary";
    const { protocol, enveloped } = request;
    if (enveloped === undefined) {
      if (!isUnary) return undefined;
      return new IncomingConnectUnary(this, stream, method, this.#peer, request, json);
    }
    // Connect envelopes only the messages of streams.
    if (isUnary && protocol === "connect") return undefined;
    const Call = isUnary ? IncomingEnvelopedUnary : IncomingEnvelopedStream;
    return new Call(this, stream, method, this.#peer, request, json, enveloped);
  }

  /** Returns the codecs of a method in JSON; undefined if it cannot be spoken in JSON. */
  #jsonCodecs({ input, output }: AnyMethod): JsonCodecs | undefined {
    if (input.schema === undefined || output.schema === undefined) return undefined;
    const { json } = this.#owner;
    return { input: json.codecFor(input), output: json.codecFor(output) };
  }

  #accepts(request: RpcRequest): boolean {
    if (request.isAccepted === undefined) {
      const fields = request.isPlain ? this.#owner.responseFieldsFor(request) : undefined;
      request.isAccepted = fields !== undefined;
      request.responseFields = fields ?? [];
    }
    return request.isAccepted;
  }

  /** Ends the open calls with an error. */
  refuseAll(error: MicroError): void {
    for (const call of [...this.#calls]) call.refuse(error);
  }

  connectionEnded(_connection: ServerConnection, reason: MicroError, violated: boolean): void {
    this.#owner.connectionEnded(this, reason, violated);
  }
}
