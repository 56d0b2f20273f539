import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallContext,
  compressResponses,
  type Metadata,
  MicroError,
  requestCompressed,
} from "@micro-es/runtime";
import { codeFromNumber } from "@micro-es/runtime/codes";
import type {
  SimpleResponseInit,
  StreamingOutputCallResponseInit,
} from "../../gen/grpc/testing/messages_micro.ts";
import type {
  BoolValue,
  EchoStatus,
  SimpleRequest,
  StreamingInputCallRequest,
  StreamingOutputCallRequest,
} from "../../gen/grpc/testing/messages_pb.ts";
import type { TestServiceHandler } from "../../gen/grpc/testing/test_micro.ts";
import { initialKey, trailingKey } from "../cases.ts";

/** The service that gRPC's interoperability tests require. */
export class TestServer implements TestServiceHandler {
  emptyCall(_request: object, context: CallContext) {
    echoMetadata(context);
    return {};
  }

  unaryCall(request: SimpleRequest, context: CallContext): SimpleResponseInit {
    echoMetadata(context);
    checkCompressed(request.expectCompressed, context);
    throwStatus(request.responseStatus);
    context.set(compressResponses, request.responseCompressed?.value === true);
    return {
      payload: { body: new Uint8Array(request.responseSize) },
      ...(request.fillServerId && { serverId: String(process.pid) }),
    };
  }

  cacheableUnaryCall(_request: object, context: CallContext) {
    context.responseMetadata.set("cache-control", "max-age=60, public");
    return { payload: { body: new TextEncoder().encode(String(process.hrtime.bigint())) } };
  }

  async *streamingOutputCall(request: StreamingOutputCallRequest, context: CallContext) {
    echoMetadata(context);
    yield* outputs(request, context);
    throwStatus(request.responseStatus);
  }

  async streamingInputCall(
    requests: AsyncIterable<StreamingInputCallRequest>,
    context: CallContext,
  ) {
    let aggregatedPayloadSize = 0;
    for await (const { payload, expectCompressed } of requests) {
      checkCompressed(expectCompressed, context);
      aggregatedPayloadSize += payload?.body.length ?? 0;
    }
    return { aggregatedPayloadSize };
  }

  async *fullDuplexCall(requests: AsyncIterable<StreamingOutputCallRequest>, context: CallContext) {
    echoMetadata(context);
    for await (const request of requests) {
      throwStatus(request.responseStatus);
      yield* outputs(request, context);
    }
  }

  async *halfDuplexCall(requests: AsyncIterable<StreamingOutputCallRequest>, context: CallContext) {
    const kept: StreamingOutputCallRequest[] = [];
    for await (const request of requests) kept.push(request);
    for (const request of kept) yield* outputs(request, context);
  }

  unimplementedCall(): never {
    throw new MicroError("unimplemented", "no server of these tests has it");
  }
}

async function* outputs(
  { responseParameters }: StreamingOutputCallRequest,
  context: CallContext,
): AsyncGenerator<StreamingOutputCallResponseInit> {
  const { signal } = context;
  for (const { size, intervalUs, compressed } of responseParameters) {
    if (intervalUs > 0) await sleep(intervalUs / 1000, undefined, { signal });
    context.set(compressResponses, compressed?.value === true);
    yield { payload: { body: new Uint8Array(size) } };
  }
}

function echoMetadata({ requestMetadata, responseMetadata, trailers }: CallContext): void {
  copy(requestMetadata, initialKey, responseMetadata);
  copy(requestMetadata, trailingKey, trailers);
}

function copy(from: Metadata, key: string, to: Metadata): void {
  for (const value of from.getAll(key)) to.append(key, value);
}

/** Rejects a request whose compression differs from its own statement. */
function checkCompressed(expected: BoolValue | undefined, context: CallContext): void {
  if (expected === undefined || expected.value === context.get(requestCompressed)) return;
  const not = expected.value ? "not " : "";
  throw new MicroError("invalid_argument", `the request was ${not}compressed`);
}

function throwStatus(status: EchoStatus | undefined): void {
  if (status === undefined || status.code === 0) return;
  throw new MicroError(codeFromNumber(status.code), status.message);
}
