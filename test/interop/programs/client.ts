import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  type CallOptions,
  createClient,
  httpTransport,
  type Metadata,
  MicroError,
  memoryRegistry,
  tcpTransport,
} from "@micro-es/runtime";
import type { StreamingOutputCallRequestInit } from "../../gen/grpc/testing/messages_micro.ts";
import type { StreamingOutputCallResponse } from "../../gen/grpc/testing/messages_pb.ts";
import {
  createTestServiceClient,
  createUnimplementedServiceClient,
} from "../../gen/grpc/testing/test_micro.ts";
import * as wanted from "../cases.ts";
import { expect, expectEqual } from "../cases.ts";
import { isPlanted } from "./is-planted.ts";
import { runCases } from "./run-cases.ts";

/**
 * The client of gRPC's interoperability tests, as a user of Micro-ES would write it:
 * `client.ts --address URL [--ca FILE] [--probe] [--cache URL] case …`. With `--probe` the server
 * sees which requests are compressed; `--cache` is a caching proxy in front of it.
 */

const { values, positionals } = parseArgs({
  options: {
    address: { type: "string" },
    ca: { type: "string" },
    probe: { type: "boolean" },
    cache: { type: "string" },
  },
  allowPositionals: true,
});
const { address = "", ca } = values;
const tls = ca === undefined ? {} : { tls: { client: { identity: { ca: readFileSync(ca) } } } };
const client = createClient({
  registry: memoryRegistry(),
  transports: [tcpTransport(tls), httpTransport({ ...tls, compression: "gzip" })],
});
// A busy machine must not cause failures.
const options: CallOptions = { address, compress: false, timeoutMs: 15_000 };
const service = createTestServiceClient(client);

async function emptyUnary(): Promise<void> {
  expectEqual(
    (await service.emptyCall({}, options)).$typeName,
    "grpc.testing.Empty",
    "the response",
  );
}

async function largeUnary(): Promise<void> {
  const { payload } = await service.unaryCall(
    {
      responseSize: wanted.largeResponse - (isPlanted ? 1 : 0),
      payload: { body: new Uint8Array(wanted.largeRequest) },
    },
    options,
  );
  expectEqual(payload?.body.length, wanted.largeResponse, "length of the response");
}

async function clientStreaming(): Promise<void> {
  const requests = wanted.inputSizes.map((size) => ({ payload: { body: new Uint8Array(size) } }));
  const { aggregatedPayloadSize } = await service.streamingInputCall(requests, options);
  expectEqual(aggregatedPayloadSize, 74_922, "sum of the payloads");
}

async function serverStreaming(): Promise<void> {
  const responseParameters = wanted.outputSizes.map((size) => ({ size }));
  const sizes: unknown[] = [];
  for await (const answer of service.streamingOutputCall({ responseParameters }, options)) {
    sizes.push(answer.payload?.body.length);
  }
  expectEqual(sizes.join(), wanted.outputSizes.join(), "lengths of the responses");
}

async function pingPong(): Promise<void> {
  const answered = new Turns();
  async function* requests(): AsyncGenerator<StreamingOutputCallRequestInit> {
    for (const [index, size] of wanted.outputSizes.entries()) {
      const body = new Uint8Array(wanted.inputSizes[index]!);
      yield { responseParameters: [{ size }], payload: { body } };
      await answered.next();
    }
  }
  const sizes: unknown[] = [];
  for await (const { payload } of service.fullDuplexCall(requests(), options)) {
    sizes.push(payload?.body.length);
    answered.done();
  }
  expectEqual(sizes.join(), wanted.outputSizes.join(), "lengths of the responses");
}

async function emptyStream(): Promise<void> {
  for await (const _ of service.fullDuplexCall([], options)) throw new Error("a response came");
}

async function customMetadata(): Promise<void> {
  const seen: (Metadata | undefined)[] = [];
  const withMetadata: CallOptions = {
    ...options,
    metadata: {
      [wanted.initialKey]: wanted.initialValue,
      [wanted.trailingKey]: wanted.trailingValue,
    },
    onResponseMetadata: (metadata) => {
      seen[0] = metadata;
    },
    onTrailers: (trailers) => {
      seen[1] = trailers;
    },
  };
  const check = () => {
    const [header, trailers] = seen.splice(0);
    expectEqual(header?.get(wanted.initialKey), wanted.initialValue, "initial metadata");
    const trailer = Buffer.from(trailers?.getBinary(wanted.trailingKey) ?? []);
    expectEqual(trailer.toString("hex"), "ababab", "trailing metadata");
  };
  await service.unaryCall(
    { responseSize: wanted.largeResponse, payload: { body: new Uint8Array(wanted.largeRequest) } },
    withMetadata,
  );
  check();
  const request = {
    responseParameters: [{ size: wanted.largeResponse }],
    payload: { body: new Uint8Array(wanted.largeRequest) },
  };
  await drain(service.fullDuplexCall([request], withMetadata));
  check();
}

async function statusCodeAndMessage(): Promise<void> {
  const responseStatus = { code: 2, message: wanted.plainMessage };
  await expectFailure(
    service.unaryCall({ responseStatus }, options),
    "unknown",
    wanted.plainMessage,
  );
  await expectFailure(
    drain(service.fullDuplexCall([{ responseStatus }], options)),
    "unknown",
    wanted.plainMessage,
  );
}

async function specialStatusMessage(): Promise<void> {
  const responseStatus = { code: 2, message: wanted.specialMessage };
  await expectFailure(
    service.unaryCall({ responseStatus }, options),
    "unknown",
    wanted.specialMessage,
  );
}

async function unimplementedMethod(): Promise<void> {
  await expectFailure(service.unimplementedCall({}, options), "unimplemented");
}

async function unimplementedService(): Promise<void> {
  const other = createUnimplementedServiceClient(client);
  await expectFailure(other.unimplementedCall({}, options), "unimplemented");
}

async function cancelAfterBegin(): Promise<void> {
  const controller = new AbortController();
  async function* never(): AsyncGenerator<object> {
    controller.abort();
    await new Promise(() => undefined);
  }
  const call = service.streamingInputCall(never(), { ...options, signal: controller.signal });
  await expectFailure(call, "canceled");
}

async function cancelAfterFirstResponse(): Promise<void> {
  const controller = new AbortController();
  async function* one(): AsyncGenerator<StreamingOutputCallRequestInit> {
    const body = new Uint8Array(wanted.inputSizes[0]!);
    yield { responseParameters: [{ size: wanted.outputSizes[0]! }], payload: { body } };
    await new Promise(() => undefined);
  }
  const cancelled = async () => {
    const { signal } = controller;
    for await (const _ of service.fullDuplexCall(one(), { ...options, signal })) controller.abort();
  };
  await expectFailure(cancelled(), "canceled");
}

async function timeoutOnSleepingServer(): Promise<void> {
  async function* one(): AsyncGenerator<StreamingOutputCallRequestInit> {
    const body = new Uint8Array(wanted.inputSizes[0]!);
    yield { responseParameters: [{ size: 31_415, intervalUs: 1_000_000 }], payload: { body } };
    await new Promise(() => undefined);
  }
  const call = drain(service.fullDuplexCall(one(), { ...options, timeoutMs: 1 }));
  await expectFailure(call, "deadline_exceeded");
}

async function clientCompressedUnary(): Promise<void> {
  const request = (compressed: boolean) => ({
    expectCompressed: { value: compressed },
    responseSize: wanted.largeResponse,
    payload: { body: new Uint8Array(wanted.largeRequest) },
  });
  if (values.probe) {
    await expectFailure(service.unaryCall(request(true), options), "invalid_argument");
  }
  for (const compress of [true, false]) {
    const { payload } = await service.unaryCall(request(compress), { ...options, compress });
    expectEqual(payload?.body.length, wanted.largeResponse, "length of the response");
  }
}

async function serverCompressedUnary(): Promise<void> {
  for (const value of [true, false]) {
    const { payload } = await service.unaryCall(
      {
        responseCompressed: { value },
        responseSize: wanted.largeResponse,
        payload: { body: new Uint8Array(wanted.largeRequest) },
      },
      options,
    );
    expectEqual(payload?.body.length, wanted.largeResponse, "length of the response");
  }
}

async function clientCompressedStreaming(): Promise<void> {
  const request = (value: boolean, size: number) => ({
    expectCompressed: { value },
    payload: { body: new Uint8Array(size) },
  });
  if (values.probe) {
    const call = service.streamingInputCall([request(true, 27_182)], options);
    await expectFailure(call, "invalid_argument");
  }
  let compress = false;
  function* requests() {
    compress = true;
    yield request(true, 27_182);
    compress = false;
    yield request(false, 45_904);
  }
  const { aggregatedPayloadSize } = await service.streamingInputCall(requests(), {
    ...options,
    compress: () => compress,
  });
  expectEqual(aggregatedPayloadSize, 73_086, "sum of the payloads");
}

async function serverCompressedStreaming(): Promise<void> {
  const responseParameters = [
    { size: 31_415, compressed: { value: true } },
    { size: 92_653, compressed: { value: false } },
  ];
  const sizes: unknown[] = [];
  for await (const answer of service.streamingOutputCall({ responseParameters }, options)) {
    sizes.push(answer.payload?.body.length);
  }
  expectEqual(sizes.join(), "31415,92653", "lengths of the responses");
}

/** Uses GET of Connect, which proxies can cache; gRPC itself has only POST. */
async function cacheableUnary(): Promise<void> {
  await using cached = createClient({
    registry: memoryRegistry(),
    transports: [httpTransport({ protocol: "connect", httpVersion: "1.1", get: true })],
  });
  const get = async (text: string) => {
    const request = { payload: { body: new TextEncoder().encode(text) } };
    const { payload } = await createTestServiceClient(cached).cacheableUnaryCall(request, {
      address: values.cache ?? "",
    });
    return new TextDecoder().decode(payload?.body);
  };
  const first = await get("a");
  expectEqual(await get("a"), first, "the same request again");
  expect((await get("b")) !== first, "another request got the same answer");
}

async function drain(answers: AsyncIterable<StreamingOutputCallResponse>): Promise<void> {
  for await (const _ of answers);
}

async function expectFailure(call: Promise<unknown>, code: string, text?: string): Promise<void> {
  let failure: unknown;
  try {
    await call;
  } catch (error) {
    failure = error;
  }
  expect(failure instanceof MicroError, `the call failed with ${failure}, and no MicroError`);
  expectEqual(failure.code as string, code, `code of "${failure.message}"`);
  if (text !== undefined) expectEqual(failure.message, text, "message");
}

/** Lets one side wait for the other's steps. */
class Turns {
  #taken = 0;
  #given = 0;
  #wake: (() => void) | undefined;

  done(): void {
    this.#given++;
    this.#wake?.();
  }

  async next(): Promise<void> {
    const turn = ++this.#taken;
    while (this.#given < turn) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

await runCases(positionals, {
  empty_unary: emptyUnary,
  large_unary: largeUnary,
  client_streaming: clientStreaming,
  server_streaming: serverStreaming,
  ping_pong: pingPong,
  empty_stream: emptyStream,
  custom_metadata: customMetadata,
  status_code_and_message: statusCodeAndMessage,
  special_status_message: specialStatusMessage,
  unimplemented_method: unimplementedMethod,
  unimplemented_service: unimplementedService,
  cancel_after_begin: cancelAfterBegin,
  cancel_after_first_response: cancelAfterFirstResponse,
  timeout_on_sleeping_server: timeoutOnSleepingServer,
  client_compressed_unary: clientCompressedUnary,
  server_compressed_unary: serverCompressedUnary,
  client_compressed_streaming: clientCompressedStreaming,
  server_compressed_streaming: serverCompressedStreaming,
  cacheable_unary: cacheableUnary,
});
await client.close();
