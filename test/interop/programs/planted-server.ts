import { type CallContext, compressResponses } from "@micro-es/runtime";
import type { SimpleResponseInit } from "../../gen/grpc/testing/messages_micro.ts";
import type {
  SimpleRequest,
  StreamingInputCallRequest,
  StreamingOutputCallRequest,
} from "../../gen/grpc/testing/messages_pb.ts";
import { trailingKey } from "../cases.ts";
import { TestServer } from "./test-server.ts";

/**
 * A server that makes one mistake in each of several cases, to show that the suite would find it.
 */
export class PlantedServer extends TestServer {
  override unaryCall(request: SimpleRequest, context: CallContext): SimpleResponseInit {
    const { responseStatus, responseCompressed, expectCompressed } = request;
    if (responseStatus !== undefined) responseStatus.message += "?";
    // Swaps compressed and uncompressed.
    if (expectCompressed !== undefined) expectCompressed.value = !expectCompressed.value;
    const answer = super.unaryCall(request, context);
    if (context.requestMetadata.has(trailingKey)) context.trailers.delete(trailingKey);
    else if (responseCompressed !== undefined)
      context.set(compressResponses, !responseCompressed.value);
    else answer.payload = { body: new Uint8Array(request.responseSize - 1) };
    return answer;
  }

  override async *streamingOutputCall(request: StreamingOutputCallRequest, context: CallContext) {
    yield* super.streamingOutputCall(request, context);
    yield {};
  }

  override async streamingInputCall(
    requests: AsyncIterable<StreamingInputCallRequest>,
    context: CallContext,
  ) {
    const { aggregatedPayloadSize } = await super.streamingInputCall(requests, context);
    return { aggregatedPayloadSize: aggregatedPayloadSize + 1 };
  }
}
