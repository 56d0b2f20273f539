import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { create } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { EmptySchema } from "../../gen/grpc/testing/empty_pb.ts";
import {
  type EchoStatus,
  type SimpleRequest,
  SimpleResponseSchema,
  type StreamingInputCallRequest,
  StreamingInputCallResponseSchema,
  type StreamingOutputCallRequest,
  StreamingOutputCallResponseSchema,
} from "../../gen/grpc/testing/messages_pb.ts";
import { TestService } from "../../gen/grpc/testing/test_pb.ts";
import { initialKey, trailingKey } from "../cases.ts";
import { serviceDefinition } from "./service.ts";

/**
 * The server of gRPC's interoperability tests on @grpc/grpc-js. Prints where it listens, and stops
 * on SIGTERM.
 */

type OutputStream = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;

const { unimplementedCall: _, ...implemented } = serviceDefinition(TestService);
const server = new Server();
server.addService(implemented, {
  emptyCall(call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) {
    answer(null, create(EmptySchema), echoMetadata(call));
  },
  unaryCall(call: ServerUnaryCall<SimpleRequest, unknown>, answer: sendUnaryData<unknown>) {
    const trailers = echoMetadata(call);
    const { responseStatus, responseSize } = call.request;
    if (isError(responseStatus)) {
      answer({ code: responseStatus.code, details: responseStatus.message }, null, trailers);
      return;
    }
    const payload = { body: new Uint8Array(responseSize) };
    answer(null, create(SimpleResponseSchema, { payload }), trailers);
  },
  async streamingOutputCall(call: ServerWritableStream<StreamingOutputCallRequest, unknown>) {
    const trailers = echoMetadata(call);
    await write(call, call.request);
    call.end(trailers);
  },
  streamingInputCall(
    call: ServerReadableStream<StreamingInputCallRequest, unknown>,
    answer: sendUnaryData<unknown>,
  ) {
    let aggregatedPayloadSize = 0;
    call.on("data", ({ payload }: StreamingInputCallRequest) => {
      aggregatedPayloadSize += payload?.body.length ?? 0;
    });
    call.on("end", () =>
      answer(null, create(StreamingInputCallResponseSchema, { aggregatedPayloadSize })),
    );
  },
  fullDuplexCall(call: ServerDuplexStream<StreamingOutputCallRequest, unknown>) {
    const trailers = echoMetadata(call);
    let work = Promise.resolve();
    call.on("error", () => undefined);
    call.on("data", (request: StreamingOutputCallRequest) => {
      const { responseStatus } = request;
      if (isError(responseStatus)) {
        call.emit("error", { code: responseStatus.code, details: responseStatus.message });
        return;
      }
      work = work.then(() => write(call, request));
    });
    call.on("end", () => work.then(() => call.end(trailers)));
  },
});

function echoMetadata(call: ServerUnaryCall<unknown, unknown> | OutputStream): Metadata {
  const [initial] = call.metadata.get(initialKey);
  if (initial !== undefined) {
    const header = new Metadata();
    header.set(initialKey, initial);
    call.sendMetadata(header);
  }
  const trailers = new Metadata();
  const [trailing] = call.metadata.get(trailingKey);
  if (trailing !== undefined) trailers.set(trailingKey, trailing);
  return trailers;
}

async function write(call: OutputStream, request: StreamingOutputCallRequest): Promise<void> {
  for (const { size, intervalUs } of request.responseParameters) {
    if (intervalUs > 0) await sleep(intervalUs / 1000);
    if (call.cancelled) return;
    const payload = { body: new Uint8Array(size) };
    call.write(create(StreamingOutputCallResponseSchema, { payload }));
  }
}

function isError(status: EchoStatus | undefined): status is EchoStatus {
  return status !== undefined && status.code !== 0;
}

const { values } = parseArgs({ options: { cert: { type: "string" }, key: { type: "string" } } });
const credentials =
  values.cert === undefined || values.key === undefined
    ? ServerCredentials.createInsecure()
    : ServerCredentials.createSsl(null, [
        { cert_chain: readFileSync(values.cert), private_key: readFileSync(values.key) },
      ]);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
});
process.once("SIGTERM", () => server.forceShutdown());
console.log(`listening 127.0.0.1:${port}`);
