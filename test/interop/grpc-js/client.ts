import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { create } from "@bufbuild/protobuf";
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  compressionAlgorithms,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { EmptySchema } from "../../gen/grpc/testing/empty_pb.ts";
import type { SimpleRequestInit } from "../../gen/grpc/testing/messages_micro.ts";
import {
  SimpleRequestSchema,
  type SimpleResponse,
  StreamingInputCallRequestSchema,
  type StreamingInputCallResponse,
  StreamingOutputCallRequestSchema,
  type StreamingOutputCallResponse,
} from "../../gen/grpc/testing/messages_pb.ts";
import { TestService, UnimplementedService } from "../../gen/grpc/testing/test_pb.ts";
import * as wanted from "../cases.ts";
import { expect, expectEqual } from "../cases.ts";
import { runCases } from "../programs/run-cases.ts";
import { serviceDefinition } from "./service.ts";

/**
 * The client of gRPC's interoperability tests on @grpc/grpc-js:
 * `client.ts --address HOST:PORT [--ca FILE] [--probe] case …`.
 */

const { values, positionals } = parseArgs({
  options: { address: { type: "string" }, ca: { type: "string" }, probe: { type: "boolean" } },
  allowPositionals: true,
});
const { address = "", ca } = values;
const channelCredentials =
  ca === undefined ? credentials.createInsecure() : credentials.createSsl(readFileSync(ca));

type Input = ClientWritableStream<unknown>;
type Duplex = ClientDuplexStream<unknown, StreamingOutputCallResponse>;
interface Answer<T> {
  readonly message: T;
  readonly header: Metadata;
  readonly trailers: Metadata;
}
/**
 * The write flag of grpc-js for an uncompressed message, which it accepts in the place of an
 * encoding.
 */
const noCompress = 2;
/** The methods of a service in grpc-js' untyped client. */
type Calls = Record<string, (...args: never[]) => never>;

const service = connect(TestService);
const compressing = connect(TestService, {
  "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
});
const other = connect(UnimplementedService);

function connect(of: typeof TestService | typeof UnimplementedService, options: object = {}) {
  const Client = makeGenericClientConstructor(serviceDefinition(of), of.typeName);
  return new Client(address, channelCredentials, options);
}

function unary<T>(
  name: string,
  request: object,
  metadata = new Metadata(),
  client = service,
): Promise<Answer<T>> {
  const calls = (name === "unimplementedService" ? other : client) as unknown as Calls;
  const method = name === "unimplementedService" ? "unimplementedCall" : name;
  return new Promise((resolve, reject) => {
    let message: T;
    let header = new Metadata();
    const call = calls[method]!(
      request as never,
      metadata as never,
      ((error: ServiceError | null, answer: T) => {
        if (error !== null) reject(error);
        message = answer;
      }) as never,
    ) as ClientReadableStream<T>;
    call.on("metadata", (it) => {
      header = it;
    });
    call.on("status", ({ metadata: trailers }) => resolve({ message, header, trailers }));
  });
}

function duplex(metadata = new Metadata(), options: object = {}): Duplex {
  const calls = service as unknown as Calls;
  return calls.fullDuplexCall!(metadata as never, options as never) as Duplex;
}

function inputStream(client = service): {
  readonly call: Input;
  readonly answer: Promise<StreamingInputCallResponse>;
} {
  const calls = client as unknown as Calls;
  let call!: Input;
  const answer = new Promise<StreamingInputCallResponse>((resolve, reject) => {
    call = calls.streamingInputCall!(((
      error: ServiceError | null,
      it: StreamingInputCallResponse,
    ) => (error === null ? resolve(it) : reject(error))) as never) as Input;
  });
  return { call, answer };
}

function outputRequest(sizes: readonly number[], body = 0, intervalUs = 0) {
  return create(StreamingOutputCallRequestSchema, {
    responseParameters: sizes.map((size) => ({ size, intervalUs })),
    payload: { body: new Uint8Array(body) },
  });
}

function large(
  more: Partial<Pick<SimpleRequestInit, "expectCompressed" | "responseCompressed">> = {},
) {
  return create(SimpleRequestSchema, {
    ...more,
    responseSize: wanted.largeResponse,
    payload: { body: new Uint8Array(wanted.largeRequest) },
  });
}

async function sizesOf(answers: AsyncIterable<StreamingOutputCallResponse>): Promise<string> {
  const sizes: unknown[] = [];
  for await (const { payload } of answers) sizes.push(payload?.body.length);
  return sizes.join();
}

async function expectFailure(call: Promise<unknown>, code: status, text?: string): Promise<void> {
  const failure = await call.then(
    () => undefined,
    (error: ServiceError) => error,
  );
  expectEqual(failure?.code, code, "code");
  if (text !== undefined) expectEqual(failure?.details, text, "message");
}

function checkMetadata(header: Metadata, trailers: Metadata): void {
  expectEqual(header.get(wanted.initialKey)[0], wanted.initialValue, "initial metadata");
  const trailing = Buffer.from((trailers.get(wanted.trailingKey)[0] as Buffer | undefined) ?? "");
  expectEqual(trailing.toString("hex"), "ababab", "trailing metadata");
}

await runCases(positionals, {
  async empty_unary() {
    const { message } = await unary<{ $typeName: string }>("emptyCall", create(EmptySchema));
    expectEqual(message.$typeName, "grpc.testing.Empty", "the response");
  },
  async large_unary() {
    const { message } = await unary<SimpleResponse>("unaryCall", large());
    expectEqual(message.payload?.body.length, wanted.largeResponse, "length of the response");
  },
  async client_streaming() {
    const { call, answer } = inputStream();
    for (const size of wanted.inputSizes) {
      const payload = { body: new Uint8Array(size) };
      call.write(create(StreamingInputCallRequestSchema, { payload }));
    }
    call.end();
    expectEqual((await answer).aggregatedPayloadSize, 74_922, "sum of the payloads");
  },
  async server_streaming() {
    const calls = service as unknown as Calls;
    const request = outputRequest(wanted.outputSizes);
    const answers = calls.streamingOutputCall!(request as never) as AsyncIterable<never>;
    expectEqual(await sizesOf(answers), wanted.outputSizes.join(), "lengths of the responses");
  },
  async ping_pong() {
    const call = duplex();
    const send = (index: number) =>
      call.write(outputRequest([wanted.outputSizes[index]!], wanted.inputSizes[index]!));
    let received = 0;
    send(0);
    for await (const { payload } of call as AsyncIterable<StreamingOutputCallResponse>) {
      expectEqual(payload?.body.length, wanted.outputSizes[received++], "length of a response");
      if (received === wanted.outputSizes.length) call.end();
      else send(received);
    }
    expectEqual(received, wanted.outputSizes.length, "answers");
  },
  async empty_stream() {
    const call = duplex();
    call.end();
    expectEqual(await sizesOf(call), "", "answers");
  },
  async custom_metadata() {
    const metadata = new Metadata();
    metadata.set(wanted.initialKey, wanted.initialValue);
    metadata.set(wanted.trailingKey, Buffer.from(wanted.trailingValue));
    const { header, trailers } = await unary("unaryCall", large(), metadata);
    checkMetadata(header, trailers);
    const call = duplex(metadata);
    let streamHeader = new Metadata();
    call.on("metadata", (it) => {
      streamHeader = it;
    });
    const ended = new Promise<Metadata>((resolve) => {
      call.on("status", (it) => resolve(it.metadata));
    });
    call.write(outputRequest([wanted.largeResponse], wanted.largeRequest));
    call.end();
    expectEqual(await sizesOf(call), String(wanted.largeResponse), "lengths of the responses");
    checkMetadata(streamHeader, await ended);
  },
  async status_code_and_message() {
    const responseStatus = { code: 2, message: wanted.plainMessage };
    const request = create(SimpleRequestSchema, { responseStatus });
    await expectFailure(unary("unaryCall", request), status.UNKNOWN, wanted.plainMessage);
    const call = duplex();
    call.write(create(StreamingOutputCallRequestSchema, { responseStatus }));
    call.end();
    await expectFailure(sizesOf(call), status.UNKNOWN, wanted.plainMessage);
  },
  async special_status_message() {
    const responseStatus = { code: 2, message: wanted.specialMessage };
    const request = create(SimpleRequestSchema, { responseStatus });
    await expectFailure(unary("unaryCall", request), status.UNKNOWN, wanted.specialMessage);
  },
  async unimplemented_method() {
    await expectFailure(unary("unimplementedCall", create(EmptySchema)), status.UNIMPLEMENTED);
  },
  async unimplemented_service() {
    await expectFailure(unary("unimplementedService", create(EmptySchema)), status.UNIMPLEMENTED);
  },
  async cancel_after_begin() {
    const { call, answer } = inputStream();
    // A call cancelled in the turn in which it is made is sent later all the same, and never ends:
    // grpc-js 1.14.7 forgets the cancellation while its filters run, and a client with such a call
    // does not end.
    await new Promise(setImmediate);
    call.cancel();
    await expectFailure(answer, status.CANCELLED);
  },
  async cancel_after_first_response() {
    const call = duplex();
    call.write(outputRequest([wanted.outputSizes[0]!], wanted.inputSizes[0]!));
    call.once("data", () => call.cancel());
    const failed = new Promise<never>((_, reject) => call.once("error", reject));
    await expectFailure(failed, status.CANCELLED);
  },
  async timeout_on_sleeping_server() {
    const call = duplex(new Metadata(), { deadline: Date.now() + 1 });
    call.write(outputRequest([31_415], wanted.inputSizes[0]!, 1_000_000));
    await expectFailure(sizesOf(call), status.DEADLINE_EXCEEDED);
  },
  async client_compressed_unary() {
    const request = (value: boolean) => large({ expectCompressed: { value } });
    if (values.probe) {
      await expectFailure(unary("unaryCall", request(true)), status.INVALID_ARGUMENT);
    }
    for (const [compressed, client] of [
      [true, compressing],
      [false, service],
    ] as const) {
      await unary("unaryCall", request(compressed), new Metadata(), client);
    }
  },
  async server_compressed_unary() {
    for (const value of [true, false]) {
      const request = large({ responseCompressed: { value } });
      const { message } = await unary<SimpleResponse>("unaryCall", request);
      expectEqual(message.payload?.body.length, wanted.largeResponse, "length of the response");
    }
  },
  async client_compressed_streaming() {
    const request = (value: boolean, size: number) =>
      create(StreamingInputCallRequestSchema, {
        expectCompressed: { value },
        payload: { body: new Uint8Array(size) },
      });
    if (values.probe) {
      const { call, answer } = inputStream();
      call.write(request(true, 27_182));
      call.end();
      await expectFailure(answer, status.INVALID_ARGUMENT);
    }
    const { call, answer } = inputStream(compressing);
    call.write(request(true, 27_182));
    call.write(request(false, 45_904), noCompress as never);
    call.end();
    expectEqual((await answer).aggregatedPayloadSize, 73_086, "sum of the payloads");
  },
  async server_compressed_streaming() {
    const calls = service as unknown as Calls;
    const request = create(StreamingOutputCallRequestSchema, {
      responseParameters: [
        { size: 31_415, compressed: { value: true } },
        { size: 92_653, compressed: { value: false } },
      ],
    });
    const answers = calls.streamingOutputCall!(request as never) as AsyncIterable<never>;
    expectEqual(await sizesOf(answers), "31415,92653", "lengths of the responses");
  },
});
expect(positionals.length > 0, "name the cases to run");
service.close();
compressing.close();
other.close();
