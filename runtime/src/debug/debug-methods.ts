import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Method } from "../call/method.ts";
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

/** Returns the statistics of a process from its debug service. */
export const statsMethod: Method<
  StatsRequest,
  MessageInitShape<typeof StatsRequestSchema>,
  StatsResponse,
  MessageInitShape<typeof StatsResponseSchema>
> = {
  service: "",
  idempotency: "no_side_effects",
  auth: { scopes: ["micro.debug"], optional: true },
  name: `${DebugService.typeName}/Stats`,
  kind: "unary",
  input: protobufCodec(StatsRequestSchema),
  output: protobufCodec(StatsResponseSchema),
};

/** Returns the log lines of a process from its debug service. */
export const logsMethod: Method<
  LogsRequest,
  MessageInitShape<typeof LogsRequestSchema>,
  LogsResponse,
  MessageInitShape<typeof LogsResponseSchema>
> = {
  service: "",
  idempotency: "no_side_effects",
  auth: { scopes: ["micro.debug"], optional: true },
  name: `${DebugService.typeName}/Logs`,
  kind: "server_streaming",
  input: protobufCodec(LogsRequestSchema),
  output: protobufCodec(LogsResponseSchema),
};
