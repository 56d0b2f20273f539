import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { Format } from "../../codec/codec.ts";
import { codecError, listenerDraining, unknownMethod } from "../call-errors.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { MessageHead } from "../http2/message-head.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import type { RpcProtocol } from "./call-forms.ts";
import type { CallStream } from "./call-stream.ts";
import { IncomingConnectUnary } from "./connect/incoming-connect-unary.ts";
import type { JsonCodecs } from "./encode-message.ts";
import { IncomingEnvelopedStream } from "./enveloped/incoming-stream.ts";
import { IncomingEnvelopedUnary } from "./enveloped/incoming-unary.ts";
import type { CallConnection, IncomingCall } from "./incoming-call.ts";
import { holdIncomplete, type IncompleteBytes } from "./incomplete-bytes.ts";
import { methodInPlace, notInJson, protocolOff } from "./refusals.ts";
import { type RpcRequest, rpcRequest } from "./rpc-request.ts";

/** The listener that accepted a connection. */
export interface CallListener {
  /** Where it listens. */
  readonly address: string;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly draining: boolean;
  /** Messages of at least this size are compressed, in bytes. */
  readonly compressMinBytes: number;
  /** The largest request, in bytes. */
  readonly maxRequestBytes: number;
  /** To how many times their size compressed requests may inflate. */
  readonly maxInflationRatio: number;
  /** Messages in JSON. */
  readonly json: Format;
  /** Whether go-micro's gRPC clients are served. */
  readonly servesGoMicro: boolean;
  speaks(protocol: RpcProtocol): boolean;
  /** Whether something other than the dispatcher serves a path. */
  isMounted(path: string): boolean;
  /**
   * Returns the fields that the header of a call's response has in addition to those of its
   * protocol; undefined if the host or the web page that the request names is refused.
   */
  accessFields(request: RpcRequest): readonly HeaderField[] | undefined;
}

/** Accepts the calls of one connection, and passes them to the dispatcher. */
export abstract class IncomingConnection implements CallConnection {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly messageGraceMs: number;
  readonly maxUnreadCost: number;
  unreadCost = 0;
  readonly #listener: CallListener;
  readonly #peer: ConnectionPeer;
  readonly #incomplete: readonly IncompleteBytes[];
  readonly #calls = new Set<IncomingCall>();

  /** @param incomplete count the bytes of incomplete requests, of the connection and the process */
  constructor(
    peer: ConnectionPeer,
    listener: CallListener,
    incomplete: readonly IncompleteBytes[],
  ) {
    const { limits } = listener;
    this.limits = limits;
    this.dispatcher = listener.dispatcher;
    this.messageGraceMs = limits.keepaliveIntervalMs + limits.keepaliveTimeoutMs;
    this.maxUnreadCost = Math.max(1024 * limits.streamWindowBytes, 4 * limits.maxMessageBytes);
    this.#listener = listener;
    this.#peer = peer;
    this.#incomplete = incomplete;
  }

  abstract readonly now: Deadline;
  abstract readonly outputFull: boolean;
  abstract copiesNow(stream: CallStream, bytes: number): boolean;

  get compressMinBytes(): number {
    return this.#listener.compressMinBytes;
  }

  get maxRequestBytes(): number {
    return this.#listener.maxRequestBytes;
  }

  get maxInflationRatio(): number {
    return this.#listener.maxInflationRatio;
  }

  holdIncomplete(bytes: number): MicroError | undefined {
    return holdIncomplete(this.#incomplete, bytes);
  }

  callEnded(call: IncomingCall): void {
    this.#calls.delete(call);
  }

  /** Ends the open calls with an error. */
  refuseAll(error: MicroError): void {
    for (const call of [...this.#calls]) call.refuse(error);
  }

  /** Returns the header of a request that is a call for the dispatcher; undefined for any other. */
  protected requestOf(head: MessageHead, list: HeaderList): RpcRequest | undefined {
    const request = rpcRequest(head, list);
    if (request === undefined) return undefined;
    request.isAccepted ??= this.#accepts(request);
    return request.isAccepted ? request : undefined;
  }

  /**
   * Begins the call of a request, or refuses it. Its method and its metadata are known then, and
   * none of its messages is decoded yet. Returns undefined for a request that does not fit its
   * method.
   *
   * @param hasEnded whether it has no body
   */
  protected begin(
    stream: CallStream,
    request: RpcRequest,
    hasEnded: boolean,
  ): IncomingCall | undefined {
    const method = this.#methodOf(request);
    const json = request.encoding === "json" ? this.#jsonCodecs(method) : undefined;
    const call = this.#create(stream, request, method, json);
    if (call === undefined) return undefined;
    stream.handler = call;
    this.#calls.add(call);
    this.callBegan(stream, request);
    const refusal = this.#refusal(request, method, json);
    if (refusal === undefined) call.start();
    else call.refuseUnread(refusal, method !== undefined && this.#speaks(request));
    if (hasEnded) call.onEnd();
    return call;
  }

  /** Called when a call begins, before anything is sent; {@link callEnded} may follow at once. */
  protected callBegan(_stream: CallStream, _request: RpcRequest): void {}

  #accepts(request: RpcRequest): boolean {
    const listener = this.#listener;
    const { protocol, name } = request;
    const fields = request.isProper ? listener.accessFields(request) : undefined;
    if (fields === undefined) return false;
    if (this.#speaks(request) && listener.isMounted(`/${name}`)) return false;
    request.responseFields = [...request.responseFields, ...fields];
    request.isGoMicro = request.isOfGoMicro && protocol === "grpc" && listener.servesGoMicro;
    return true;
  }

  #speaks({ protocol }: RpcRequest): boolean {
    return this.#listener.speaks(protocol);
  }

  #methodOf({ name, isGoMicro }: RpcRequest): AnyMethod | undefined {
    const { dispatcher } = this;
    return dispatcher.method(name) ?? (isGoMicro ? byEndpoint(dispatcher, name) : undefined);
  }

  /** Returns why a call is refused; undefined if it is not. */
  #refusal(
    request: RpcRequest,
    method: AnyMethod | undefined,
    json: JsonCodecs | undefined,
  ): MicroError | undefined {
    const { address, draining, dispatcher } = this.#listener;
    const { problem, protocol, encoding, name } = request;
    if (!this.#speaks(request)) return protocolOff(protocol, address);
    if (draining) return listenerDraining(address);
    if (method === undefined) {
      return dispatcher.unknownMethod?.(name) ?? unknownMethod(name, address);
    }
    if (encoding === "json" && json === undefined) return notInJson(method);
    return problem === undefined ? undefined : codecError(problem, "not-executed");
  }

  /** Creates a call; undefined if the request does not fit the method. */
  #create(
    stream: CallStream,
    request: RpcRequest,
    known: AnyMethod | undefined,
    json: JsonCodecs | undefined,
  ): IncomingCall | undefined {
    const method = known ?? methodInPlace(request.name, request);
    const { protocol, enveloped, isGet } = request;
    const isUnary = method.kind === "unary";
    if (enveloped === undefined) {
      const isGettable = known === undefined || method.idempotency === "no_side_effects";
      if (!isUnary || (isGet && !isGettable)) return undefined;
      return new IncomingConnectUnary(this, stream, method, this.#peer, request, json);
    }
    // Connect envelopes only the messages of streams.
    if (isUnary && protocol === "connect") return undefined;
    const Call = isUnary ? IncomingEnvelopedUnary : IncomingEnvelopedStream;
    return new Call(this, stream, method, this.#peer, request, json, enveloped);
  }

  /** Returns the codecs of a method in JSON; undefined if it cannot be spoken in JSON. */
  #jsonCodecs(method: AnyMethod | undefined): JsonCodecs | undefined {
    if (method?.input.schema === undefined || method.output.schema === undefined) return undefined;
    const { json } = this.#listener;
    return { input: json.codecFor(method.input), output: json.codecFor(method.output) };
  }
}

/**
 * Returns the method that go-micro calls `/<service>.Greeter/Hello`, with the name that the server
 * is registered under in place of the package. Any other name would bypass a proxy that authorizes
 * requests by path.
 */
function byEndpoint(dispatcher: Dispatcher, name: string): AnyMethod | undefined {
  const [, service, type, rpc] = /^(.+)\.(\w+)\/(\w+)$/.exec(name) ?? [];
  return service === undefined
    ? undefined
    : dispatcher.methodOfEndpoint?.(`${type}.${rpc}`, service);
}
