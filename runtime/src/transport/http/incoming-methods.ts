import type { DescMethod, Message, Registry } from "@bufbuild/protobuf";
import { createConnectRouter, type HandlerContext } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { MicroError } from "../../base/error.ts";
import type { AnyMethod, MethodKind } from "../../call/method.ts";
import type { TransportLimits } from "../transport.ts";
import { compressions } from "./compression/algorithms.ts";
import { never } from "./compression/messages.ts";
import { exactJsonOptions } from "./exact-json-options.ts";
import { exchangeKey, IncomingCall, type ServedMethod } from "./incoming-call.ts";
import { type Encoding, messageAdapter } from "./message-adapter.ts";
import { methodDescriptor } from "./method-descriptor.ts";
import { wrapperBytes } from "./opaque-message.ts";
import { toConnectError } from "./status.ts";

/** Which of the three protocols are spoken, and how. */
export interface RpcOptions {
  /** Default true. */
  readonly connect?: boolean;
  /** Default true. */
  readonly grpc?: boolean;
  /** Default true. */
  readonly grpcWeb?: boolean;
  /**
   * Messages of at least this size are compressed for callers that support it, in bytes. Default
   * 1,024.
   */
  readonly compressMinBytes?: number;
  /**
   * The largest request, in bytes, if that is less than `maxMessageBytes`, which applies in both
   * directions.
   */
  readonly maxRequestBytes?: number;
  /**
   * How many times larger than their compressed bytes the messages of a request may become when
   * decompressed, in total. The first 320 KiB are exempt. Default 100.
   */
  readonly maxInflationRatio?: number;
  /** Types that a `google.protobuf.Any` may hold in JSON. */
  readonly typeRegistry?: Registry;
}

type HandlersByEncoding = Record<Encoding, WeakMap<AnyMethod, UniversalHandler>>;

/** The handlers that Connect creates for methods, each created at its first call. */
export class IncomingMethods {
  readonly #options: RouterOptions;
  readonly #typeRegistry: Registry | undefined;
  readonly #maxElements: number;
  readonly #known: HandlersByEncoding = {
    binary: new WeakMap(),
    json: new WeakMap(),
  };
  /** The same for go-micro clients. */
  readonly #openEnded: HandlersByEncoding = { binary: new WeakMap(), json: new WeakMap() };

  /** @param shutdown aborts when calls are cancelled because the listener closes. */
  constructor(options: RpcOptions, limits: TransportLimits, shutdown: AbortSignal) {
    const { connect = true, grpc = true, grpcWeb = true, typeRegistry } = options;
    this.#options = {
      connect,
      grpc,
      grpcWeb,
      acceptCompression: [...compressions],
      // Responses are compressed message by message, as their handler decides.
      compressMinBytes: never,
      // The exact limit is checked where the bytes arrive.
      readMaxBytes:
        Math.min(limits.maxMessageBytes, options.maxRequestBytes ?? limits.maxMessageBytes) +
        wrapperBytes,
      shutdownSignal: shutdown,
    };
    this.#typeRegistry = typeRegistry;
    this.#maxElements = limits.maxMessageElements;
  }

  /** Returns the handler of a method in an encoding. */
  handler(method: AnyMethod, encoding: Encoding): UniversalHandler {
    return this.#handler(this.#known, method, method.kind, encoding);
  }

  /**
   * As {@link handler}, for go-micro clients, which do not mark the single request of a stream as
   * the last one: the call proceeds as soon as it has arrived.
   */
  openEnded(method: AnyMethod, encoding: Encoding): UniversalHandler {
    const kind = method.kind === "server_streaming" ? "bidi_streaming" : method.kind;
    return this.#handler(this.#openEnded, method, kind, encoding);
  }

  /**
   * Returns a handler that responds to every call with an error, in the protocol of the call, even
   * if that protocol is switched off.
   */
  refusal(name: string, kind: MethodKind, error: MicroError): UniversalHandler {
    const options = { ...this.#options, connect: true, grpc: true, grpcWeb: true };
    const descriptor = methodDescriptor(name, kind, "no_side_effects");
    return build(options, descriptor, refusing(kind, error));
  }

  #handler(
    known: HandlersByEncoding,
    method: AnyMethod,
    kind: MethodKind,
    encoding: Encoding,
  ): UniversalHandler {
    const before = known[encoding].get(method);
    if (before !== undefined) return before;
    const made = this.#make(method, kind, encoding);
    known[encoding].set(method, made);
    return made;
  }

  #make(method: AnyMethod, kind: MethodKind, encoding: Encoding): UniversalHandler {
    const input = messageAdapter(method.input, encoding, this.#maxElements);
    const output = messageAdapter(method.output, encoding, this.#maxElements);
    if (input === undefined || output === undefined) {
      return this.refusal(method.name, kind, notInJson(method));
    }
    const { name, idempotency } = method;
    const descriptor = methodDescriptor(name, kind, idempotency, input.schema, output.schema);
    const answer = implementation({ method, input, output }, kind);
    if (encoding === "binary") return build(this.#options, descriptor, answer);
    const jsonOptions = exactJsonOptions(input.schema, this.#typeRegistry, this.#maxElements);
    return build({ ...this.#options, jsonOptions }, descriptor, answer);
  }
}

type RouterOptions = NonNullable<Parameters<typeof createConnectRouter>[0]>;

function build(options: RouterOptions, descriptor: DescMethod, answer: unknown): UniversalHandler {
  const { handlers } = createConnectRouter(options).rpc(descriptor, answer as never);
  return handlers[0]!;
}

/** Returns the implementation that Connect calls for a method of that kind. */
function implementation(served: ServedMethod, kind: MethodKind): unknown {
  switch (kind) {
    case "unary":
      return (request: Message, context: HandlerContext) =>
        new IncomingCall(served, context).unary(request);
    case "client_streaming":
      return (requests: AsyncIterable<Message>, context: HandlerContext) =>
        new IncomingCall(served, context).single(requests);
    case "server_streaming":
      return (request: Message, context: HandlerContext) =>
        new IncomingCall(served, context).stream(one(request));
    default:
      return (requests: AsyncIterable<Message>, context: HandlerContext) =>
        new IncomingCall(served, context).stream(requests);
  }
}

function refusing(kind: MethodKind, error: MicroError): unknown {
  const refuse = (_: unknown, { values }: HandlerContext) => {
    values.get(exchangeKey)?.taken();
    throw toConnectError(error);
  };
  const single = kind === "unary" || kind === "client_streaming";
  return single ? async (...call: Parameters<typeof refuse>) => refuse(...call) : refuse;
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}

function notInJson(method: AnyMethod): MicroError {
  return new MicroError(
    "unimplemented",
    `${method.name} is not spoken in JSON here, because its codecs have no descriptor; send application/proto`,
    { outcome: "not-executed" },
  );
}
