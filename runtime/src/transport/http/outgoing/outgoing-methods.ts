import type { DescMessage } from "@bufbuild/protobuf";
import { type Deadline, remainingMs } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import type { AnyMethod } from "../../../call/method.ts";
import type { AnyCodec, Format } from "../../../codec/codec.ts";
import { jsonFormatWith } from "../../../codec/json.ts";
import { countedSchema } from "../../../codec/message-elements.ts";
import { headerLines } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { OutgoingCall } from "../../transport.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { Compression } from "../compression/algorithms.ts";
import { CallDeflation } from "../compression/messages.ts";
import type { CallProtocol } from "./call-protocol.ts";
import { type CallProtocols, callProtocols } from "./call-protocols.ts";

/** A method with the header of its requests, and the codecs of its messages. */
export class OutgoingMethod {
  readonly method: AnyMethod;
  readonly protocol: CallProtocol;
  readonly input: AnyCodec;
  readonly output: AnyCodec;
  /** Whether its messages are JSON. */
  readonly isJson: boolean;
  /** Whether it cannot be called, because JSON requires descriptors and there are none. */
  readonly isUndescribed: boolean;
  /** The schema of its requests and of its responses, if their elements can be counted. */
  readonly requestSchema: DescMessage | undefined;
  readonly responseSchema: DescMessage | undefined;
  /** Whether its requests are sent in the path, by GET, as far as they fit. */
  readonly isGet: boolean;
  readonly pseudoFields: readonly HeaderField[];
  readonly #fields: readonly HeaderField[];
  readonly #plain: HeaderTemplate;
  /** With further fields, by their names. */
  readonly #others: Map<string, HeaderTemplate> = new Map();

  /** @param json the format of its messages; undefined for that of its codecs */
  constructor(
    method: AnyMethod,
    protocol: CallProtocol,
    pseudoFields: readonly HeaderField[],
    json: Format | undefined,
    isGet: boolean,
  ) {
    this.method = method;
    this.protocol = protocol;
    const { input, output } = method;
    this.isJson = json !== undefined;
    this.isUndescribed = this.isJson && (input.schema === undefined || output.schema === undefined);
    const format = this.isUndescribed ? undefined : json;
    this.input = format === undefined ? input : jsonInput(input, format);
    this.output = format === undefined ? output : format.codecFor(output);
    this.requestSchema = countedSchema(this.input);
    this.responseSchema = countedSchema(this.output);
    this.isGet = isGet;
    this.pseudoFields = pseudoFields;
    this.#fields = [...pseudoFields, ...protocol.requestFields];
    this.#plain = new HeaderTemplate([...this.#fields, ...protocol.agentFields]);
  }

  /**
   * The constant part of the header of its requests.
   *
   * @param compression the encoding of requests that may be compressed
   * @param hasAgent whether the metadata of the call names the user agent
   */
  head(compression: Compression | undefined, hasAgent: boolean): HeaderTemplate {
    if (compression === undefined && !hasAgent) return this.#plain;
    const key = `${compression?.name} ${hasAgent}`;
    let head = this.#others.get(key);
    if (head === undefined) {
      const fields = [...this.#fields];
      if (!hasAgent) fields.push(...this.protocol.agentFields);
      if (compression !== undefined) {
        fields.push(new HeaderField(this.protocol.encodingName, compression.name));
      }
      head = new HeaderTemplate(fields);
      this.#others.set(key, head);
    }
    return head;
  }
}

/** The methods that were called on a channel. */
export class OutgoingMethods {
  readonly #url: URL;
  readonly #protocols: CallProtocols;
  /** The format of messages; undefined for that of their codecs. */
  readonly #json: Format | undefined;
  readonly #usesGet: boolean;
  readonly #known = new WeakMap<AnyMethod, OutgoingMethod>();
  /** The last one is usually the next one too. */
  #last: OutgoingMethod | undefined;

  constructor(url: URL, options: Partial<HttpCallOptions>) {
    const { protocol = "grpc", encoding = "binary", typeRegistry: registry, get } = options;
    this.#url = url;
    this.#protocols = callProtocols(protocol, encoding);
    if (encoding === "json")
      this.#json = jsonFormatWith(registry === undefined ? {} : { registry });
    this.#usesGet = protocol === "connect" && get === true;
  }

  of(method: AnyMethod): OutgoingMethod {
    if (this.#last?.method === method) return this.#last;
    let known = this.#known.get(method);
    if (known === undefined) {
      known = this.#create(method);
      // Its descriptor may still be loading, if it was imported after the channel was dialed.
      if (known.isUndescribed) return known;
      this.#known.set(method, known);
    }
    this.#last = known;
    return known;
  }

  #create(method: AnyMethod): OutgoingMethod {
    const isUnary = method.kind === "unary";
    const protocol = isUnary ? this.#protocols.unary : this.#protocols.streams;
    const isGet = isUnary && this.#usesGet && method.idempotency === "no_side_effects";
    return new OutgoingMethod(method, protocol, this.#pseudoFields(method), this.#json, isGet);
  }

  #pseudoFields({ name }: AnyMethod): readonly HeaderField[] {
    const { protocol, host, href } = this.#url;
    const { pathname } = new URL(`${href.replace(/\/?$/, "/")}${name}`);
    return [
      new HeaderField(":method", "POST"),
      new HeaderField(":scheme", protocol.slice(0, -1)),
      new HeaderField(":authority", host),
      new HeaderField(":path", pathname),
    ];
  }
}

/** Returns the error of a method that {@link OutgoingMethod.isUndescribed}. */
export function undescribed({ name }: AnyMethod): MicroError {
  return new MicroError(
    "unimplemented",
    `${name} cannot be called in JSON, because its codecs have no descriptor`,
    { outcome: "not-executed" },
  );
}

/** Compresses the requests of one call. */
export function deflationOf(called: OutgoingMethod, compression: Compression): CallDeflation {
  return new CallDeflation(compression, called.requestSchema, called.isJson);
}

/** Encodes by way of a method's own codec, which checks initializers and completes them. */
function jsonInput(codec: AnyCodec, json: Format): AnyCodec {
  const format = json.codecFor(codec);
  return { ...format, encode: (message) => format.encode(codec.decode(codec.encode(message))) };
}

/** Whether the metadata of a call names the user agent. */
export function namesAgent({ metadata }: OutgoingCall): boolean {
  if (metadata === undefined || metadata.isEmpty) return false;
  rememberEncoded(metadata);
  return lastNamesAgent;
}

/** Returns the fields of a request that differ from call to call: timeout and metadata. */
export function callFields(
  protocol: CallProtocol,
  { deadline, metadata }: OutgoingCall,
): readonly HeaderField[] {
  const timeout = timeoutFields(protocol, deadline);
  if (metadata === undefined || metadata.isEmpty) return timeout;
  rememberEncoded(metadata);
  return timeout.length === 0 ? lastMetadata : [...timeout, ...lastMetadata];
}

let lastEncoded: Uint8Array | undefined;
let lastMetadata: readonly HeaderField[] = [];
let lastNamesAgent = false;

/** Calls with the same credential, and no other metadata, share their metadata. */
function rememberEncoded(metadata: Metadata): void {
  // The bytes are others once the metadata has changed.
  const encoded = metadata.encode();
  if (encoded === lastEncoded) return;
  const fields = Array.from(
    headerLines(metadata),
    ([name, value]) => new HeaderField(name, value.trim()),
  );
  lastNamesAgent = metadata.has("user-agent");
  lastMetadata = fields;
  lastEncoded = encoded;
}

const noFields: readonly HeaderField[] = [];
let lastProtocol: CallProtocol | undefined;
let lastTimeoutMs = -1;
let lastTimeout: readonly HeaderField[] = noFields;

/** Calls that follow each other have the same timeout. */
function timeoutFields(protocol: CallProtocol, deadline: Deadline): readonly HeaderField[] {
  if (deadline === Number.POSITIVE_INFINITY) return noFields;
  const ms = Math.max(1, Math.ceil(remainingMs(deadline)));
  if (ms !== lastTimeoutMs || protocol !== lastProtocol) {
    lastTimeout = [protocol.timeoutField(ms)];
    lastTimeoutMs = ms;
    lastProtocol = protocol;
  }
  return lastTimeout;
}
