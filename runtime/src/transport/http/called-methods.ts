import type { DescMethod } from "@bufbuild/protobuf";
import type { Transport as ConnectTransport } from "@connectrpc/connect";
import type { CommonTransportOptions, UniversalClientFn } from "@connectrpc/connect/protocol";
import { createTransport as createConnect } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpc } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import { MicroError } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import type { TransportLimits } from "../transport.ts";
import { compressions } from "./compressions.ts";
import type { HttpCallOptions } from "./http-call-options.ts";
import { compressMessages, never } from "./message-compression.ts";
import { type Encoding, type MessageForm, messageForm } from "./message-form.ts";
import { methodDescriptor } from "./method-descriptor.ts";

/** A method with what Connect needs to call it. */
export interface CalledMethod {
  readonly descriptor: DescMethod;
  readonly input: MessageForm;
  readonly output: MessageForm;
}

/** What the calls of one channel have in common. */
export class CalledMethods {
  readonly protocol: HttpCallOptions["protocol"];
  readonly #encoding: Encoding;
  readonly #options: Omit<CommonTransportOptions, "httpClient">;
  readonly #known = new WeakMap<AnyMethod, CalledMethod>();

  constructor(url: URL, options: Partial<HttpCallOptions>, limits: TransportLimits) {
    const { protocol = "grpc", encoding = "binary", compression, typeRegistry } = options;
    this.protocol = protocol;
    this.#encoding = encoding;
    this.#options = {
      baseUrl: url.href,
      useBinaryFormat: encoding === "binary",
      interceptors: [],
      acceptCompression: [...compressions],
      sendCompression: compressions.find(({ name }) => name === compression) ?? null,
      // Connect compresses an unary message that is larger than this, and no empty one at 0.
      compressMinBytes: (options.compressMinBytes ?? 1_024) - 1,
      readMaxBytes: Math.min(
        limits.maxMessageBytes,
        options.maxAnswerBytes ?? limits.maxMessageBytes,
      ),
      writeMaxBytes: 0xffff_ffff,
      useHttpGet: options.get ?? false,
      ...(typeRegistry !== undefined && { jsonOptions: { registry: typeRegistry } }),
    };
  }

  /** @throws MicroError `unimplemented` where JSON needs a descriptor and there is none. */
  of(method: AnyMethod): CalledMethod {
    const known = this.#known.get(method);
    if (known !== undefined) return known;
    const input = messageForm(method.input, this.#encoding);
    const output = messageForm(method.output, this.#encoding);
    if (input === undefined || output === undefined) {
      throw new MicroError(
        "unimplemented",
        `${method.name} cannot be called in JSON, because its codecs have no descriptor`,
        { outcome: "not-executed" },
      );
    }
    const { name, kind, idempotency } = method;
    const descriptor = methodDescriptor(name, kind, idempotency, input.schema, output.schema);
    const called = { descriptor, input, output };
    this.#known.set(method, called);
    return called;
  }

  /**
   * What makes one call, by this way to send it.
   *
   * @param compress whether its requests may be compressed; a function is asked before each of a stream
   */
  transport(
    httpClient: UniversalClientFn,
    compress: boolean | (() => boolean) = true,
  ): ConnectTransport {
    const options = { ...this.#options, httpClient };
    const { sendCompression, compressMinBytes } = options;
    if (compress === false) options.sendCompression = null;
    if (typeof compress === "function" && sendCompression !== null) {
      options.compressMinBytes = never;
      options.httpClient = (request) => {
        const { body } = request;
        if (body === undefined) return httpClient(request);
        const compressed = compressMessages(body, sendCompression, compressMinBytes, compress);
        return httpClient({ ...request, body: compressed } as typeof request);
      };
    }
    switch (this.protocol) {
      case "connect":
        return createConnect(options);
      case "grpc-web":
        return createGrpcWeb(options);
      default:
        return createGrpc(options);
    }
  }
}
