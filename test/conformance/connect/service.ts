import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { type CallContext, MicroError } from "@micro-es/runtime";
import { codeFromNumber } from "@micro-es/runtime/codes";
import type { ConformanceServiceHandler } from "./gen/connectrpc/conformance/v1/service_micro.ts";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  type Error as ConformanceError,
  type ConformancePayload,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformancePayloadSchema,
  type IdempotentUnaryRequest,
  IdempotentUnaryRequestSchema,
  type ServerStreamRequest,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type UnaryRequest,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { addLines, toLines } from "./lines.ts";

type Answer = { payload: ConformancePayload };

/** Responds as each request of the suite asks, and reports what was received. */
export class Conformance implements ConformanceServiceHandler {
  unary(request: UnaryRequest, context: CallContext): Promise<Answer> {
    return one(request.responseDefinition, [packed(UnaryRequestSchema, request)], context);
  }

  idempotentUnary(request: IdempotentUnaryRequest, context: CallContext): Promise<Answer> {
    return one(
      request.responseDefinition,
      [packed(IdempotentUnaryRequestSchema, request)],
      context,
    );
  }

  async clientStream(
    requests: AsyncIterable<ClientStreamRequest>,
    context: CallContext,
  ): Promise<Answer> {
    const arrival = new Arrival(context);
    const seen: Any[] = [];
    let definition: UnaryResponseDefinition | undefined;
    for await (const request of requests) {
      if (seen.length === 0) definition = request.responseDefinition;
      seen.push(packed(ClientStreamRequestSchema, request));
    }
    return one(definition, seen, context, arrival);
  }

  async *serverStream(request: ServerStreamRequest, context: CallContext): AsyncGenerator<Answer> {
    const definition = request.responseDefinition;
    announce(definition, context);
    yield* rest(definition, 0, [packed(ServerStreamRequestSchema, request)], new Arrival(context));
  }

  async *bidiStream(
    requests: AsyncIterable<BidiStreamRequest>,
    context: CallContext,
  ): AsyncGenerator<Answer> {
    const arrival = new Arrival(context);
    let definition: StreamResponseDefinition | undefined;
    let seen: Any[] = [];
    let sent = 0;
    let first = true;
    let alternates = false;
    for await (const request of requests) {
      seen.push(packed(BidiStreamRequestSchema, request));
      if (first) {
        first = false;
        definition = request.responseDefinition;
        alternates = request.fullDuplex;
        announce(definition, context);
      }
      if (!alternates) continue;
      const data = definition?.responseData[sent];
      if (data === undefined) break;
      await delay(definition?.responseDelayMs ?? 0);
      yield answer(data, sent === 0 ? arrival.with(seen) : onlyRequests(seen));
      sent++;
      seen = [];
    }
    yield* rest(definition, sent, seen, arrival);
  }

  /** The suite wants this method to be missing; `server.ts` does not register it. */
  unimplemented(): never {
    throw new MicroError("unimplemented", "this is not implemented");
  }
}

/** The response of a method that has exactly one. */
async function one(
  definition: UnaryResponseDefinition | undefined,
  requests: Any[],
  context: CallContext,
  arrival = new Arrival(context),
): Promise<Answer> {
  announce(definition, context);
  await delay(definition?.responseDelayMs ?? 0);
  const { response } = definition ?? {};
  const seen = arrival.with(requests);
  if (response?.case === "error") throw failure(response.value, seen);
  return answer(response?.value ?? new Uint8Array(), seen);
}

/** The remaining responses of a stream, and its error. */
async function* rest(
  definition: StreamResponseDefinition | undefined,
  sent: number,
  requests: Any[],
  arrival: Arrival,
): AsyncGenerator<Answer> {
  if (definition === undefined) return;
  const due = definition.responseData.slice(sent);
  for (const [index, data] of due.entries()) {
    await delay(definition.responseDelayMs);
    yield answer(data, sent + index === 0 ? arrival.with(requests) : undefined);
  }
  if (definition.error !== undefined) {
    const none = definition.responseData.length === 0;
    throw failure(definition.error, none ? arrival.with(requests) : undefined);
  }
}

function announce(
  definition: UnaryResponseDefinition | StreamResponseDefinition | undefined,
  context: CallContext,
): void {
  addLines(context.responseMetadata, definition?.responseHeaders ?? []);
  addLines(context.trailers, definition?.responseTrailers ?? []);
}

function answer(data: Uint8Array, requestInfo: ConformancePayload_RequestInfo | undefined): Answer {
  const payload = create(ConformancePayloadSchema, { data });
  if (requestInfo !== undefined) payload.requestInfo = requestInfo;
  return { payload };
}

function onlyRequests(requests: Any[]): ConformancePayload_RequestInfo {
  return create(ConformancePayload_RequestInfoSchema, { requests });
}

/** What a call came with, and how much time it had then. */
class Arrival {
  readonly #context: CallContext;
  readonly #remainingMs: number;

  constructor(context: CallContext) {
    this.#context = context;
    this.#remainingMs = context.remainingMs();
  }

  with(requests: Any[]): ConformancePayload_RequestInfo {
    const info = onlyRequests(requests);
    info.requestHeaders = toLines(this.#context.requestMetadata).map(
      (line) => ({ $typeName: "connectrpc.conformance.v1.Header", ...line }) as const,
    );
    if (this.#remainingMs !== Number.POSITIVE_INFINITY) {
      info.timeoutMs = BigInt(Math.ceil(this.#remainingMs));
    }
    return info;
  }
}

function failure(
  { code, message, details }: ConformanceError,
  seen: ConformancePayload_RequestInfo | undefined,
): MicroError {
  const all = [...details];
  if (seen !== undefined) all.push(packed(ConformancePayload_RequestInfoSchema, seen));
  return new MicroError(codeFromNumber(code), message ?? "", {
    details: all.map(({ typeUrl, value }) => ({
      typeName: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    })),
  });
}

function packed<T extends DescMessage>(schema: T, message: Message): Any {
  return anyPack(schema, message as never);
}
