import { setTimeout as delay } from "node:timers/promises";
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client, type Metadata, MicroError } from "@micro-es/runtime";
import { codeToNumber } from "@micro-es/runtime/codes";
import {
  type ClientCompatRequest,
  type ClientResponseResult,
  ClientResponseResultSchema,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { StreamType } from "./gen/connectrpc/conformance/v1/config_pb.ts";
import {
  type ConformanceServiceClient,
  createConformanceServiceClient,
} from "./gen/connectrpc/conformance/v1/service_micro.ts";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  ConformancePayloadSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  UnimplementedRequestSchema,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { toLines, toMetadata } from "./lines.ts";

/**
 * One call that the suite requests, made through the generated client, with everything that the
 * suite wants to know about it.
 */
export class SuiteCall {
  readonly #request: ClientCompatRequest;
  readonly #client: ConformanceServiceClient;
  readonly #options: CallOptions;
  readonly #canceller = new AbortController();
  readonly #payloads: ConformancePayload[] = [];
  #header: Metadata | undefined;
  #trailers: Metadata | undefined;
  /** Requests that were handed to the client. */
  #sent = 0;
  /** Wakes the requests that wait for a response before the next one. */
  #answered: (() => void) | undefined;

  constructor(request: ClientCompatRequest, client: Client, address: string) {
    this.#request = request;
    this.#client = createConformanceServiceClient(client);
    this.#options = {
      address,
      timeoutMs: request.timeoutMs ?? Number.POSITIVE_INFINITY,
      metadata: toMetadata(request.requestHeaders),
      signal: this.#canceller.signal,
      onResponseMetadata: (metadata) => {
        this.#header = metadata;
      },
      onTrailers: (trailers) => {
        this.#trailers = trailers;
      },
    };
  }

  async run(): Promise<ClientResponseResult> {
    const result = create(ClientResponseResultSchema);
    try {
      await this.#call();
    } catch (reason) {
      if (!(reason instanceof MicroError)) throw reason;
      result.error = {
        $typeName: "connectrpc.conformance.v1.Error",
        code: codeToNumber(reason.code),
        message: asWritten(reason),
        details: reason.details.map(({ typeName, value }) => ({
          $typeName: "google.protobuf.Any",
          typeUrl: `type.googleapis.com/${typeName}`,
          value,
        })),
      };
    }
    result.payloads = this.#payloads;
    result.numUnsentRequests = this.#request.requestMessages.length - this.#sent;
    const message = (line: { name: string; value: string[] }) =>
      ({ $typeName: "connectrpc.conformance.v1.Header", ...line }) as const;
    result.responseHeaders = toLines(this.#header).map(message);
    result.responseTrailers = toLines(this.#trailers).map(message);
    return result;
  }

  async #call(): Promise<void> {
    const { method } = this.#request;
    const client = this.#client;
    switch (method) {
      case "Unary":
        return this.#take(client.unary(await this.#only(UnaryRequestSchema), this.#options));
      case "IdempotentUnary":
        return this.#take(
          client.idempotentUnary(await this.#only(IdempotentUnaryRequestSchema), this.#options),
        );
      case "Unimplemented":
        await client.unimplemented(await this.#only(UnimplementedRequestSchema), this.#options);
        return;
      case "ServerStream":
        return this.#takeAll(
          client.serverStream(await this.#only(ServerStreamRequestSchema), this.#options),
        );
      case "ClientStream":
        return this.#take(
          client.clientStream(this.#requests(ClientStreamRequestSchema), this.#options),
        );
      case "BidiStream":
        return this.#takeAll(
          client.bidiStream(this.#requests(BidiStreamRequestSchema), this.#options),
        );
      default:
        throw new Error(`the suite calls ${method}, which its service does not have`);
    }
  }

  async #take(answer: Promise<{ payload?: ConformancePayload | undefined }>): Promise<void> {
    this.#keep(await answer);
  }

  async #takeAll(
    answers: AsyncIterable<{ payload?: ConformancePayload | undefined }>,
  ): Promise<void> {
    for await (const answer of answers) this.#keep(answer);
  }

  #keep({ payload }: { payload?: ConformancePayload | undefined }): void {
    this.#payloads.push(payload ?? create(ConformancePayloadSchema));
    this.#answered?.();
    const timing = this.#request.cancel?.cancelTiming;
    if (timing?.case === "afterNumResponses" && this.#payloads.length === timing.value) {
      this.#canceller.abort();
    }
  }

  /** The request of a call that has one. */
  async #only<T extends DescMessage>(schema: T): Promise<MessageShape<T>> {
    const [message] = this.#messages(schema);
    if (message === undefined)
      throw new Error("the suite gives no request for a call that takes one");
    await delay(this.#request.requestDelayMs);
    this.#sent = 1;
    this.#allSent();
    return message;
  }

  async *#requests<T extends DescMessage>(schema: T): AsyncGenerator<MessageShape<T>> {
    const alternates = this.#request.streamType === StreamType.FULL_DUPLEX_BIDI_STREAM;
    for (const message of this.#messages(schema)) {
      if (alternates && this.#sent > 0) await this.#answerTo(this.#sent);
      await delay(this.#request.requestDelayMs);
      this.#sent++;
      yield message;
    }
    if (alternates && this.#sent > 0) await this.#answerTo(this.#sent);
    this.#allSent();
    if (this.#request.cancel?.cancelTiming.case === "beforeCloseSend") {
      this.#canceller.abort();
      await new Promise(() => undefined);
    }
  }

  #messages<T extends DescMessage>(schema: T): MessageShape<T>[] {
    return this.#request.requestMessages.map((any) => {
      const message = anyUnpack(any, schema);
      if (message === undefined) throw new Error(`the suite sends ${any.typeUrl} as a request`);
      return message;
    });
  }

  /** Waits for the response to a request of a call in which both sides alternate. */
  async #answerTo(count: number): Promise<void> {
    while (this.#payloads.length < count) {
      await new Promise<void>((resolve) => {
        this.#answered = resolve;
      });
    }
  }

  /** The sending side is closed, or is about to be. */
  #allSent(): void {
    const { cancel } = this.#request;
    if (cancel === undefined) return;
    const timing = cancel.cancelTiming;
    if (timing.case === "afterCloseSendMs" || timing.case === undefined) {
      setTimeout(() => this.#canceller.abort(), timing.value ?? 0);
    }
  }
}

/**
 * The text of an error as the server wrote it: our client says before it what was called and where.
 */
function asWritten(error: MicroError): string {
  return error.cause instanceof MicroError ? asWritten(error.cause) : error.message;
}
