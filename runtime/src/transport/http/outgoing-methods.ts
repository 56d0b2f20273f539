import type { DescMessage, DescMethod, Registry } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Transport as ConnectTransport } from "@connectrpc/connect";
import type { CommonTransportOptions, UniversalClientFn } from "@connectrpc/connect/protocol";
import { createTransport as createConnect } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpc } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import { MicroError } from "../../base/error.ts";
import type { AnyMethod } from "../../call/method.ts";
import { countedSchema } from "../../codec/message-elements.ts";
import type { TransportLimits } from "../transport.ts";
import type { HttpCallOptions } from "./call-options.ts";
import { connectCompressions } from "./compression/connect-compressions.ts";
import { defaultInflationRatio } from "./compression/inflation.ts";
import { lowerCodings } from "./compression/lower-codings.ts";
import { CallDeflation, compressMessages, compressWhole, never } from "./compression/messages.ts";
import { type ExactJsonOptions, exactJsonOptions } from "./exact-json-options.ts";
import { repairStatus } from "./grpc-status.ts";
import { type Encoding, type MessageAdapter, messageAdapter } from "./message-adapter.ts";
import { methodDescriptor } from "./method-descriptor.ts";
import { wrapperBytes } from "./opaque-message.ts";
import { type BodyRules, receiveBody } from "./received-body.ts";
import { repairConnect } from "./response-end.ts";

/** A method with what Connect requires to call it. */
export interface OutgoingMethod {
  readonly descriptor: DescMethod;
  readonly input: MessageAdapter;
  readonly output: MessageAdapter;
  /** How its JSON responses are read; undefined if they are not JSON. */
  readonly jsonOptions: ExactJsonOptions | undefined;
  /** The schema of its requests, if their elements can be counted. */
  readonly requestSchema: DescMessage | undefined;
  /** The schema of its responses, if their elements can be counted. */
  readonly responseSchema: DescMessage | undefined;
}

/** What the calls of one channel share. */
export class OutgoingMethods {
  readonly protocol: HttpCallOptions["protocol"];
  readonly #encoding: Encoding;
  readonly #options: Omit<CommonTransportOptions, "httpClient">;
  readonly #typeRegistry: Registry | undefined;
  readonly #limits: TransportLimits;
  readonly #maxBytes: number;
  readonly #maxInflationRatio: number;
  readonly #compressMinBytes: number;
  readonly #known = new WeakMap<AnyMethod, OutgoingMethod>();

  constructor(url: URL, options: Partial<HttpCallOptions>, limits: TransportLimits) {
    const { protocol = "grpc", encoding = "binary", compression, typeRegistry } = options;
    this.protocol = protocol;
    this.#limits = limits;
    this.#maxBytes = Math.min(
      limits.maxMessageBytes,
      options.maxResponseBytes ?? limits.maxMessageBytes,
    );
    this.#maxInflationRatio = options.maxInflationRatio ?? defaultInflationRatio;
    this.#encoding = encoding;
    this.#options = {
      baseUrl: url.href,
      useBinaryFormat: encoding === "binary",
      interceptors: [],
      acceptCompression: [...connectCompressions],
      sendCompression: connectCompressions.find(({ name }) => name === compression) ?? null,
      // Requests are compressed one by one, if the call allows it.
      compressMinBytes: never,
      // The exact limit is checked where the bytes arrive.
      readMaxBytes: this.#maxBytes + wrapperBytes,
      writeMaxBytes: 0xffff_ffff,
      useHttpGet: options.get ?? false,
    };
    this.#compressMinBytes = options.compressMinBytes ?? 1_024;
    this.#typeRegistry = typeRegistry;
  }

  /** @throws MicroError `unimplemented` if JSON requires a descriptor and there is none. */
  of(method: AnyMethod): OutgoingMethod {
    const known = this.#known.get(method);
    if (known !== undefined) return known;
    const input = messageAdapter(method.input, this.#encoding, this.#limits.maxMessageElements);
    const output = messageAdapter(method.output, this.#encoding, this.#limits.maxMessageElements);
    if (input === undefined || output === undefined) {
      throw new MicroError(
        "unimplemented",
        `${method.name} cannot be called in JSON, because its codecs have no descriptor`,
        { outcome: "not-executed" },
      );
    }
    const { name, kind, idempotency } = method;
    const descriptor = methodDescriptor(name, kind, idempotency, input.schema, output.schema);
    const jsonOptions =
      this.#encoding === "json"
        ? exactJsonOptions(output.schema, this.#typeRegistry, this.#limits.maxMessageElements)
        : undefined;
    const called = {
      descriptor,
      input,
      output,
      jsonOptions,
      requestSchema: countedSchema(method.input),
      responseSchema: countedSchema(method.output),
    };
    this.#known.set(method, called);
    return called;
  }

  /**
   * Creates the transport for one call of a method, which sends it in this way.
   *
   * @param over returns why no caller is waiting for the call any longer; undefined while one is
   * @param compress whether its requests may be compressed; a function is called before each
   * request of a stream
   */
  transport(
    called: OutgoingMethod,
    httpClient: UniversalClientFn,
    over: () => MicroError | undefined,
    compress: boolean | (() => boolean) = true,
  ): ConnectTransport {
    const { descriptor, jsonOptions, requestSchema, responseSchema } = called;
    const receiving = this.#receiving(httpClient, responseSchema, over);
    const options = {
      ...this.#options,
      httpClient:
        this.protocol === "connect"
          ? repairConnect(receiving)
          : repairStatus(receiving, this.protocol),
      ...(jsonOptions !== undefined && { jsonOptions }),
    };
    const { sendCompression } = options;
    if (compress === false || this.#goesByGet(descriptor)) options.sendCompression = null;
    else if (sendCompression !== null) {
      const goesAlone = this.protocol === "connect" && descriptor.methodKind === "unary";
      const deflation = new CallDeflation(
        sendCompression,
        requestSchema,
        this.#encoding === "json",
      );
      const wanted = typeof compress === "function" ? compress : () => true;
      options.httpClient = goesAlone
        ? this.#compressingWhole(options.httpClient, deflation)
        : this.#compressing(options.httpClient, deflation, wanted);
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

  #compressing(
    send: UniversalClientFn,
    deflation: CallDeflation,
    wanted: () => boolean,
  ): UniversalClientFn {
    return (request) => {
      const { body } = request;
      if (body === undefined) return send(request);
      const compressed = compressMessages(body, deflation, this.#compressMinBytes, wanted);
      return send({ ...request, body: compressed } as typeof request);
    };
  }

  #compressingWhole(send: UniversalClientFn, deflation: CallDeflation): UniversalClientFn {
    return async (request) => {
      const { body } = request;
      if (body === undefined) return send(request);
      const header = new Headers(request.header);
      const sent = await compressWhole(body, header, deflation, this.#compressMinBytes);
      return send({ ...request, header, body: sent } as typeof request);
    };
  }

  /** Servers do not accept compressed messages in a URL. */
  #goesByGet({ idempotency }: DescMethod): boolean {
    return (
      this.protocol === "connect" &&
      this.#options.useHttpGet === true &&
      idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
    );
  }

  #receiving(
    httpClient: UniversalClientFn,
    schema: DescMessage | undefined,
    over: () => MicroError | undefined,
  ): UniversalClientFn {
    const rules: BodyRules = {
      maxBytes: this.#maxBytes,
      maxInflationRatio: this.#maxInflationRatio,
      over,
      opaque: this.#encoding === "binary",
      schema,
      maxElements: this.#limits.maxMessageElements,
      countsAll: false,
    };
    return async (request) => {
      const response = await httpClient(request);
      lowerCodings(response.header);
      const isError = this.protocol === "connect" && response.status !== 200;
      return { ...response, ...receiveBody(response.body, response.header, rules, isError) };
    };
  }
}
