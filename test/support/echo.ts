import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AnyMethod,
  type Awaitable,
  type CallContext,
  isCode,
  type Method,
  MicroError,
} from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import {
  type EchoRequest,
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
} from "../gen/micro/test/v1/echo_pb.ts";

export { createEchoServiceClient } from "../gen/micro/test/v1/echo_micro.ts";

export type EchoRequestInit = MessageInitShape<typeof EchoRequestSchema>;
export type EchoResponseInit = MessageInitShape<typeof EchoResponseSchema>;
export type EchoMethod = Method<EchoRequest, EchoRequestInit, EchoResponse, EchoResponseInit>;

function echoMethod(rpc: string, kind: AnyMethod["kind"], idempotent = false): EchoMethod {
  return {
    service: "echo",
    name: `micro.test.v1.EchoService/${rpc}`,
    kind,
    input: protobufCodec(EchoRequestSchema),
    output: protobufCodec(EchoResponseSchema),
    idempotency: idempotent ? "no_side_effects" : "unknown",
  };
}

/** The methods of the service that tests call, as generated code would write them. */
export const echo = {
  echo: echoMethod("Echo", "unary", true),
  once: echoMethod("Once", "unary"),
  repeat: echoMethod("Repeat", "server_streaming"),
  collect: echoMethod("Collect", "client_streaming"),
  chat: echoMethod("Chat", "bidi_streaming"),
} as const;

/** The handler that a server registers; `name` distinguishes the responses of several servers. */
export interface EchoHandler {
  echo(request: EchoRequest, context: CallContext): Awaitable<EchoResponseInit>;
  once(request: EchoRequest, context: CallContext): Awaitable<EchoResponseInit>;
  repeat(request: EchoRequest, context: CallContext): AsyncIterable<EchoResponseInit>;
  collect(requests: AsyncIterable<EchoRequest>, context: CallContext): Awaitable<EchoResponseInit>;
  chat(requests: AsyncIterable<EchoRequest>, context: CallContext): AsyncIterable<EchoResponseInit>;
}

/** A handler that does what echo.proto says. */
export function echoHandler(server = ""): EchoHandler {
  const answer = async (request: EchoRequest, context: CallContext): Promise<EchoResponseInit> => {
    if (request.delayMs > 0) await sleep(request.delayMs, undefined, { signal: context.signal });
    fail(request);
    return { text: request.text, payload: request.payload, server };
  };
  return {
    echo: answer,
    once: answer,
    async *repeat(request, context) {
      for (let index = 0; index < request.count; index++) {
        if (request.delayMs > 0)
          await sleep(request.delayMs, undefined, { signal: context.signal });
        yield { text: request.text, payload: request.payload, index, server };
      }
      fail(request);
    },
    async collect(requests) {
      const texts: string[] = [];
      for await (const request of requests) {
        fail(request);
        texts.push(request.text);
      }
      return { text: texts.join(" "), index: texts.length, server };
    },
    async *chat(requests, context) {
      let index = 0;
      for await (const request of requests)
        yield { ...(await answer(request, context)), index: index++ };
    },
  };
}

function fail(request: EchoRequest): void {
  if (request.fail === "") return;
  throw new MicroError(
    isCode(request.fail) ? request.fail : "unknown",
    `told to fail: ${request.text}`,
    {
      outcome: "executed",
    },
  );
}
