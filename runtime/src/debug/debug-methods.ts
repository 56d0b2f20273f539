import type { MessageInitShape } from "@bufbuild/protobuf";
import { protobufCodec } from "../codec/protobuf.ts";
import {
  DebugService,
  type LogsRequest,
  LogsRequestSchema,
  type LogsResponse,
  LogsResponseSchema,
  type StatsRequest,
  StatsRequestSchema,
  type StatsResponse,
  StatsResponseSchema,
} from "../gen/micro/debug/v1/debug_pb.ts";
import type { Method } from "../method.ts";

/** Asks a service with a debug service how its process does. */
export const statsMethod: Method<
  StatsRequest,
  MessageInitShape<typeof StatsRequestSchema>,
  StatsResponse,
  MessageInitShape<typeof StatsResponseSchema>
> = {
  service: "",
  idempotency: "no_side_effects",
  name: `${DebugService.typeName}/Stats`,
  kind: "unary",
  input: protobufCodec(StatsRequestSchema),
  output: protobufCodec(StatsResponseSchema),
};

/** Asks a service with a debug service what its process logs. */
export const logsMethod: Method<
  LogsRequest,
  MessageInitShape<typeof LogsRequestSchema>,
  LogsResponse,
  MessageInitShape<typeof LogsResponseSchema>
> = {
  service: "",
  idempotency: "no_side_effects",
  name: `${DebugService.typeName}/Logs`,
  kind: "server_streaming",
  input: protobufCodec(LogsRequestSchema),
  output: protobufCodec(LogsResponseSchema),
};
