import type { Deadline } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { Identity } from "../../call/account.ts";
import type { Awaitable } from "../../call/call.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { Format } from "../../codec/codec.ts";
import { admitIdentity } from "../admission.ts";
import { codecError, listenerDraining, unknownMethod } from "../call-errors.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { MessageHead } from "../http2/message-head.ts";
import { PendingAdmissions } from "../pending-admissions.ts";
import type { CallAccess, Dispatcher, TransportLimits } from "../transport.ts";
import type { RpcProtocol } from "./call-forms.ts";
import type { CallStream, CallStreamHandler } from "./call-stream.ts";
import { IncomingConnectUnary } from "./connect/incoming-connect-unary.ts";
import type { JsonCodecs } from "./encode-message.ts";
import { IncomingEnvelopedStream } from "./enveloped/incoming-stream.ts";
import { IncomingEnvelopedUnary } from "./enveloped/incoming-unary.ts";
import type { CallConnection, IncomingCall } from "./incoming-call.ts";
import { holdIncomplete, type IncompleteBytes } from "./incomplete-bytes.ts";
import { methodInPlace, notInJson, protocolOff } from "./refusals.ts";
import { type RpcRequest, RpcRequests } from "./rpc-request.ts";
import { WaitingCall } from "./waiting-call.ts";

const privateFields = [
  new HeaderField("cache-control", "private"),
  new HeaderField("vary", "authorization"),
];

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
  readonly #requests = new RpcRequests();
  readonly #pending = new PendingAdmissions();

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
    const request = this.#requests.read(head, list);
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
  ): CallStreamHandler | undefined {
    const method = this.#methodOf(request);
    const json = request.encoding === "json" ? this.#jsonCodecs(method) : undefined;
    const call = this.#create(stream, request, method, json);
    if (call === undefined) return undefined;
    stream.handler = call;
    this.#calls.add(call);
    this.callBegan(stream, request);
    const { access } = this.dispatcher;
    const busy = this.#busy(request);
    if (busy !== undefined) call.refuseUnread(busy, method !== undefined && this.#speaks(request));
    else if (access === undefined) this.#start(call, request, method, json, undefined);
    else this.#admit(access, call, request, method, json, hasEnded);
    if (hasEnded) stream.handler.onEnd(stream, undefined);
    return stream.handler;
  }

  /** Starts a call when its caller is verified, and may call the method. */
  #admit(
    access: CallAccess,
    call: IncomingCall,
    request: RpcRequest,
    method: AnyMethod | undefined,
    json: JsonCodecs | undefined,
    hasEnded: boolean,
  ): void {
    let identity: Awaitable<Identity | undefined>;
    try {
      if (request.credential instanceof MicroError) throw request.credential;
      const caller = access.identify(request.credential, this.#peer);
      identity = method === undefined ? caller : admitIdentity(access, method, caller, this.#peer);
      if (identity instanceof Promise) {
        const waiting = new WaitingCall(call, hasEnded, (found) => {
          call.admit(found);
          this.#start(call, request, method, json, found);
        });
        waiting.wait(this.#pending.wait(identity, waiting));
        return;
      }
    } catch (reason) {
      call.stream.handler = call;
      call.refuseUnread(codecError(reason, "not-executed"), true);
      return;
    }
    call.admit(identity);
    this.#start(call, request, method, json, identity);
  }

  /** Starts a call, unless it does not fit its method. */
  #start(
    call: IncomingCall,
    request: RpcRequest,
    method: AnyMethod | undefined,
    json: JsonCodecs | undefined,
    identity: Identity | undefined,
  ): void {
    const refusal = this.#misfit(request, method, json, identity);
    if (refusal === undefined) call.start();
    else call.refuseUnread(refusal, method !== undefined);
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

  /** Returns why no call in its protocol is accepted now; undefined if calls are. */
  #busy(request: RpcRequest): MicroError | undefined {
    const { address, draining } = this.#listener;
    if (!this.#speaks(request)) return protocolOff(request.protocol, address);
    return draining ? listenerDraining(address) : undefined;
  }

  /** Returns why a call that is admitted is refused; undefined if it is not. */
  #misfit(
    { problem, encoding, name }: RpcRequest,
    method: AnyMethod | undefined,
    json: JsonCodecs | undefined,
    identity: Identity | undefined,
  ): MicroError | undefined {
    const { address, dispatcher } = this.#listener;
    if (method === undefined) {
      return dispatcher.unknownMethod?.(name, identity) ?? unknownMethod(name, address);
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
      const header = isGet && known !== undefined ? this.#getHeader(request, known) : request;
      return new IncomingConnectUnary(this, stream, method, this.#peer, header, json);
    }
    // Connect envelopes only the messages of streams.
    if (isUnary && protocol === "connect") return undefined;
    const Call = isUnary ? IncomingEnvelopedUnary : IncomingEnvelopedStream;
    return new Call(this, stream, method, this.#peer, request, json, enveloped);
  }

  /** Keeps the response to a GET out of shared caches if it depends on who calls. */
  #getHeader(request: RpcRequest, { auth }: AnyMethod): RpcRequest {
    if (this.dispatcher.access === undefined) return request;
    if (auth?.public === true && request.credential === undefined) return request;
    return { ...request, responseFields: [...request.responseFields, ...privateFields] };
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
