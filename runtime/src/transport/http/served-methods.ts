import type { DescMethod, Message, Registry } from "@bufbuild/protobuf";
import { createConnectRouter, type HandlerContext } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { MicroError } from "../../error.ts";
import type { AnyMethod, MethodKind } from "../../method.ts";
import type { TransportLimits } from "../transport.ts";
import { compressions } from "./compressions.ts";
import { toConnectError } from "./http-status.ts";
import { never } from "./message-compression.ts";
import { type Encoding, messageForm } from "./message-form.ts";
import { methodDescriptor } from "./method-descriptor.ts";
import { exchangeKey, ServedCall, type ServedMethod } from "./served-call.ts";

/** Which of the three protocols are spoken, and how. */
export interface RpcOptions {
  /** Default true. */
  readonly connect?: boolean;
  /** Default true. */
  readonly grpc?: boolean;
  /** Default true. */
  readonly grpcWeb?: boolean;
  /** Messages from this size on are compressed for callers who can read that, in bytes. Default 1,024. */
  readonly compressMinBytes?: number;
  /** The largest request, in bytes, where that is less than `maxMessageBytes`, which holds both ways. */
  readonly maxRequestBytes?: number;
  /** Types that a `google.protobuf.Any` may hold in JSON. */
  readonly typeRegistry?: Registry;
}

type HandlersByEncoding = Record<Encoding, WeakMap<AnyMethod, UniversalHandler>>;

/** The handlers that Connect makes for methods, each made when it is first called. */
export class ServedMethods {
  readonly #options: NonNullable<Parameters<typeof createConnectRouter>[0]>;
  readonly #known: HandlersByEncoding = {
    binary: new WeakMap(),
    json: new WeakMap(),
  };
  /** The same for clients of go-micro's. */
  readonly #openEnded: HandlersByEncoding = { binary: new WeakMap(), json: new WeakMap() };

  /** @param shutdown fires when calls are given up because the listener closes. */
  constructor(options: RpcOptions, limits: TransportLimits, shutdown: AbortSignal) {
    const { connect = true, grpc = true, grpcWeb = true, typeRegistry } = options;
    this.#options = {
      connect,
      grpc,
      grpcWeb,
      acceptCompression: [...compressions],
      // Answers are compressed message by message, as their handler says.
      compressMinBytes: never,
      readMaxBytes: Math.min(
        limits.maxMessageBytes,
        options.maxRequestBytes ?? limits.maxMessageBytes,
      ),
      shutdownSignal: shutdown,
      ...(typeRegistry !== undefined && { jsonOptions: { registry: typeRegistry } }),
    };
  }

  /** The handler of a method in an encoding. */
  handler(method: AnyMethod, encoding: Encoding): UniversalHandler {
    return this.#handler(this.#known, method, method.kind, encoding);
  }

  /**
   * As {@link handler}, for clients of go-micro's, which do not say that the one request of a stream was the last: it is
   * answered as soon as it is there.
   */
  openEnded(method: AnyMethod, encoding: Encoding): UniversalHandler {
    const kind = method.kind === "server_streaming" ? "bidi_streaming" : method.kind;
    return this.#handler(this.#openEnded, method, kind, encoding);
  }

  /** A handler that answers every call with an error, in the protocol of the call. */
  refusal(name: string, kind: MethodKind, error: MicroError): UniversalHandler {
    return this.#build(methodDescriptor(name, kind, "no_side_effects"), refusing(kind, error));
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
    const input = messageForm(method.input, encoding);
    const output = messageForm(method.output, encoding);
    if (input === undefined || output === undefined) {
      return this.refusal(method.name, kind, notInJson(method));
    }
    const { name, idempotency } = method;
    const descriptor = methodDescriptor(name, kind, idempotency, input.schema, output.schema);
    return this.#build(descriptor, implementation({ method, input, output }, kind));
  }

  #build(descriptor: DescMethod, answer: unknown): UniversalHandler {
    const { handlers } = createConnectRouter(this.#options).rpc(descriptor, answer as never);
    return handlers[0]!;
  }
}

/** What Connect calls for a method of that kind. */
function implementation(served: ServedMethod, kind: MethodKind): unknown {
  switch (kind) {
    case "unary":
      return (request: Message, context: HandlerContext) =>
        new ServedCall(served, context).unary(request);
    case "client_streaming":
      return (requests: AsyncIterable<Message>, context: HandlerContext) =>
        new ServedCall(served, context).single(requests);
    case "server_streaming":
      return (request: Message, context: HandlerContext) =>
        new ServedCall(served, context).stream(one(request));
    default:
      return (requests: AsyncIterable<Message>, context: HandlerContext) =>
        new ServedCall(served, context).stream(requests);
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
