import {
  create,
  type DescMethod,
  type DescService,
  isMessage,
  type Message,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import type { Transport as ConnectTransport } from "@connectrpc/connect";
import { asMicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import { callback, checkOptions, text } from "../../base/option-check.ts";
import type { Method } from "../../call/method.ts";
import type { CallOptions, Client } from "../../client/client.ts";
import { protobufCodec } from "../../codec/protobuf.ts";
import { headerLines, metadataFrom } from "../../transport/http-headers.ts";
import { toConnectError } from "./connect-error.ts";

/** How {@link connectTransport} finds the services that it calls. */
export interface ConnectTransportOptions {
  /**
   * The name under which a service is registered. Default: its package without the version, such as
   * `acme.greeter`.
   */
  readonly service?: (service: DescService) => string;
  /** Calls this address instead of using the registry. */
  readonly address?: string;
}

type AnyOf = Method<Message, Message, Message, Message>;

/**
 * A client as a Connect `Transport`: clients created with Connect
 * (`createClient(GreeterService, transport)`) call with discovery, selection, retries and the
 * native protocol. The interceptors are those of `client`.
 *
 * @example
 * ```ts
 * import { createClient as createConnectClient } from "@connectrpc/connect";
 * import { createClient } from "@micro-es/runtime";
 * import { connectTransport } from "@micro-es/runtime/connect";
 * import { Greeter } from "./gen/greeter/v1/greeter_pb.js";
 *
 * const greeter = createConnectClient(Greeter, connectTransport(createClient()));
 * const { message } = await greeter.hello({ name: "Ada" });
 * ```
 */
export function connectTransport(
  client: Client,
  options: ConnectTransportOptions = {},
): ConnectTransport {
  checkOptions("connectTransport", options, { service: callback, address: text });
  const methods = new WeakMap<DescMethod, AnyOf>();
  const methodOf = (descriptor: DescMethod): AnyOf => {
    const known = methods.get(descriptor);
    if (known !== undefined) return known;
    const made = method(descriptor, options.service ?? packageOf);
    methods.set(descriptor, made);
    return made;
  };
  const callOptions = (
    call: ResponseHeaders,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: ConstructorParameters<typeof Headers>[0],
  ): CallOptions => ({
    ...(signal !== undefined && { signal }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(options.address !== undefined && { address: options.address }),
    metadata: metadataFrom(new Headers(header)),
    onResponseMetadata: (metadata) => append(call.header, metadata),
    onTrailers: (metadata) => append(call.trailer, metadata),
  });
  return {
    async unary(descriptor, signal, timeoutMs, header, input) {
      const call = { header: new Headers(), trailer: new Headers() };
      const request = isMessage(input, descriptor.input) ? input : create(descriptor.input, input);
      try {
        const message = await client.unary(
          methodOf(descriptor),
          request,
          callOptions(call, signal, timeoutMs, header),
        );
        return {
          stream: false,
          service: descriptor.parent,
          method: descriptor,
          ...call,
          message: message as never,
        };
      } catch (reason) {
        throw connectError(reason, call);
      }
    },
    async stream(descriptor, signal, timeoutMs, header, input) {
      const call = { header: new Headers(), trailer: new Headers() };
      const requests = complete(descriptor, input);
      const responses = client
        .bidi(methodOf(descriptor), requests, callOptions(call, signal, timeoutMs, header))
        [Symbol.asyncIterator]();
      const next = () =>
        responses.next().catch((reason) => {
          throw connectError(reason, call);
        });
      // The header arrives with the first response, and Connect needs it before.
      const first = await next();
      return {
        stream: true,
        service: descriptor.parent,
        method: descriptor,
        ...call,
        message: following(first, next, () => responses.return?.()) as never,
      };
    },
  };
}

interface ResponseHeaders {
  readonly header: Headers;
  readonly trailer: Headers;
}

function method(descriptor: DescMethod, service: (service: DescService) => string): AnyOf {
  const { parent, idempotency } = descriptor;
  return {
    service: service(parent),
    name: `${parent.typeName}/${descriptor.name}`,
    // Connect treats every streaming kind as bidirectional.
    kind: descriptor.methodKind === "unary" ? "unary" : "bidi_streaming",
    input: protobufCodec(descriptor.input) as never,
    output: protobufCodec(descriptor.output) as never,
    idempotency:
      idempotency === Level.NO_SIDE_EFFECTS
        ? "no_side_effects"
        : idempotency === Level.IDEMPOTENT
          ? "idempotent"
          : "unknown",
  };
}

/** `acme.greeter` for `acme.greeter.v1.Greeter`. */
function packageOf({ typeName }: DescService): string {
  const name = typeName.slice(0, Math.max(0, typeName.lastIndexOf(".")));
  return name.replace(/\.v\d+(?:(?:alpha|beta)\d*)?$/, "") || typeName;
}

async function* complete(
  descriptor: DescMethod,
  messages: AsyncIterable<unknown>,
): AsyncGenerator<Message> {
  for await (const message of messages) {
    yield isMessage(message, descriptor.input)
      ? message
      : create(descriptor.input, message as never);
  }
}

async function* following<T>(
  first: IteratorResult<T>,
  next: () => Promise<IteratorResult<T>>,
  leave: () => unknown,
): AsyncGenerator<T> {
  try {
    for (let step = first; step.done !== true; step = await next()) yield step.value;
  } finally {
    await leave();
  }
}

function append(headers: Headers, metadata: Metadata): void {
  for (const [name, value] of headerLines(metadata)) headers.append(name, value);
}

function connectError(reason: unknown, { header, trailer }: ResponseHeaders): Error {
  const error = toConnectError(asMicroError(reason));
  for (const headers of [header, trailer]) {
    for (const [name, value] of headers) error.metadata.append(name, value);
  }
  return error;
}
