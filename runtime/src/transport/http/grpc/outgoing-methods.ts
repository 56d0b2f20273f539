import type { DescMessage } from "@bufbuild/protobuf";
import type { Compression } from "@connectrpc/connect/protocol";
import { type Deadline, remainingMs } from "../../../base/deadline.ts";
import type { AnyMethod } from "../../../call/method.ts";
import { countedSchema } from "../../../codec/message-elements.ts";
import { headerLines } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { OutgoingCall } from "../../transport.ts";

/** The most that a timeout may be: gRPC allows eight digits. */
const longestTimeout = 99_999_999;

const agentKey = "user-agent";
const agent = new HeaderField(agentKey, "micro-es");

/** A method with the header of its requests. */
export class OutgoingMethod {
  readonly method: AnyMethod;
  /** The schema of its requests and of its responses, if their elements can be counted. */
  readonly requestSchema: DescMessage | undefined;
  readonly responseSchema: DescMessage | undefined;
  readonly #fields: readonly HeaderField[];
  readonly #plain: HeaderTemplate;
  /** With further fields, by their names. */
  readonly #others: Map<string, HeaderTemplate> = new Map();

  constructor(method: AnyMethod, fields: readonly HeaderField[]) {
    this.method = method;
    this.requestSchema = countedSchema(method.input);
    this.responseSchema = countedSchema(method.output);
    this.#fields = fields;
    this.#plain = new HeaderTemplate([...fields, agent]);
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
      if (!hasAgent) fields.push(agent);
      if (compression !== undefined) {
        fields.push(new HeaderField("grpc-encoding", compression.name));
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
  readonly #known = new WeakMap<AnyMethod, OutgoingMethod>();
  /** The last one is usually the next one too. */
  #last: OutgoingMethod | undefined;

  constructor(url: URL) {
    this.#url = url;
  }

  of(method: AnyMethod): OutgoingMethod {
    if (this.#last?.method === method) return this.#last;
    let known = this.#known.get(method);
    if (known === undefined) {
      known = new OutgoingMethod(method, this.#fieldsOf(method.name));
      this.#known.set(method, known);
    }
    this.#last = known;
    return known;
  }

  #fieldsOf(name: string): readonly HeaderField[] {
    const { protocol, host, href } = this.#url;
    const { pathname } = new URL(`${href.replace(/\/?$/, "/")}${name}`);
    return [
      new HeaderField(":method", "POST"),
      new HeaderField(":scheme", protocol.slice(0, -1)),
      new HeaderField(":authority", host),
      new HeaderField(":path", pathname),
      new HeaderField("te", "trailers"),
      new HeaderField("content-type", "application/grpc+proto"),
      new HeaderField("grpc-accept-encoding", "gzip,br"),
    ];
  }
}

/** Whether the metadata of a call names the user agent. */
export function namesAgent({ metadata }: OutgoingCall): boolean {
  return metadata !== undefined && !metadata.isEmpty && metadata.has(agentKey);
}

/** Returns the fields of a request that differ from call to call: timeout and metadata. */
export function callFields({ deadline, metadata }: OutgoingCall): readonly HeaderField[] {
  const timeout = timeoutFields(deadline);
  if (metadata === undefined || metadata.isEmpty) return timeout;
  const fields = [...timeout];
  for (const [name, value] of headerLines(metadata)) {
    fields.push(new HeaderField(name, value.trim()));
  }
  return fields;
}

const noFields: readonly HeaderField[] = [];
let lastTimeoutMs = -1;
let lastTimeout: readonly HeaderField[] = noFields;

/** Calls that follow each other have the same timeout. */
function timeoutFields(deadline: Deadline): readonly HeaderField[] {
  if (deadline === Number.POSITIVE_INFINITY) return noFields;
  const ms = Math.max(1, Math.ceil(remainingMs(deadline)));
  if (ms !== lastTimeoutMs) {
    const text =
      ms <= longestTimeout ? `${ms}m` : `${Math.min(Math.ceil(ms / 1_000), longestTimeout)}S`;
    lastTimeout = [new HeaderField("grpc-timeout", text)];
    lastTimeoutMs = ms;
  }
  return lastTimeout;
}
