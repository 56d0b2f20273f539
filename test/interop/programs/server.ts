import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import {
  type CallContext,
  codeFromNumber,
  compressAnswers,
  createServer,
  type Metadata,
  MicroError,
  memoryBroker,
  memoryRegistry,
  requestCompressed,
  type ServerInterceptor,
  tcpTransport,
} from "@micro-es/runtime";
import { registerGrpcHealth, registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import type { StreamingOutputCallResponseInit } from "../../gen/grpc/testing/messages_micro.ts";
import type {
  BoolValue,
  EchoStatus,
  SimpleRequest,
  StreamingInputCallRequest,
  StreamingOutputCallRequest,
} from "../../gen/grpc/testing/messages_pb.ts";
import {
  registerTestServiceHandler,
  type TestServiceHandler,
} from "../../gen/grpc/testing/test_micro.ts";

/**
 * The server of gRPC's interoperability tests, as a user of Micro-ES would write it. Says where it listens on a line
 * of standard output, and stops at SIGTERM.
 */

const initialKey = "x-grpc-test-echo-initial";
const trailingKey = "x-grpc-test-echo-trailing-bin";

/** Whether the suite is to find an answer that is a byte too short. */
const planted = process.env.INTEROP_PLANT !== undefined;

class TestServer implements TestServiceHandler {
  emptyCall(_request: object, context: CallContext) {
    echoMetadata(context);
    return {};
  }

  unaryCall(request: SimpleRequest, context: CallContext) {
    echoMetadata(context);
    checkCompressed(request.expectCompressed, context);
    throwStatus(request.responseStatus);
    context.set(compressAnswers, request.responseCompressed?.value === true);
    return {
      payload: { body: new Uint8Array(request.responseSize - (planted ? 1 : 0)) },
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
    context.set(compressAnswers, compressed?.value === true);
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

/** Refuses a request that is not compressed as it says. */
function checkCompressed(expected: BoolValue | undefined, context: CallContext): void {
  if (expected === undefined || expected.value === context.get(requestCompressed)) return;
  const not = expected.value ? "not " : "";
  throw new MicroError("invalid_argument", `the request was ${not}compressed`);
}

function throwStatus(status: EchoStatus | undefined): void {
  if (status === undefined || status.code === 0) return;
  throw new MicroError(codeFromNumber(status.code), status.message);
}

const { values } = parseArgs({
  options: {
    cert: { type: "string" },
    key: { type: "string" },
    cors: { type: "string" },
    "only-v1alpha": { type: "boolean" },
  },
});
const identity =
  values.cert === undefined || values.key === undefined
    ? undefined
    : { cert: readFileSync(values.cert, "utf8"), key: readFileSync(values.key, "utf8") };
/** Acts as a server of the time before reflection was v1. */
const olderReflection: ServerInterceptor = {
  stream(context, requests, next) {
    if (!context.method.name.startsWith("grpc.reflection.v1.")) return next(requests);
    throw new MicroError("unimplemented", "this server has reflection v1alpha alone");
  },
};
const server = createServer({
  name: "interop",
  registry: memoryRegistry(),
  broker: memoryBroker(),
  interceptors: values["only-v1alpha"] === true ? [olderReflection] : [],
  listen: [
    {
      transport: tcpTransport({
        ...(identity !== undefined && { tls: { server: { identity } } }),
        ...(values.cors !== undefined && { http: { cors: { origins: [values.cors] } } }),
      }),
      address: "127.0.0.1:0",
    },
  ],
});
registerTestServiceHandler(server, new TestServer());
registerGrpcHealth(server);
registerGrpcReflection(server);
await server.start();
process.once("SIGTERM", () => void server.close());
console.log(`listening ${server.addresses[0]}`);
