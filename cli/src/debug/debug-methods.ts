import { protobufCodec } from "@micro-es/runtime/codec";
import {
  DebugService,
  LogsRequestSchema,
  LogsResponseSchema,
  StatsRequestSchema,
  StatsResponseSchema,
} from "@micro-es/runtime/gen/micro/debug/v1/debug_pb.js";

const common = { service: "", idempotency: "no_side_effects" } as const;

/** How a process does. */
export const statsMethod = {
  ...common,
  name: `${DebugService.typeName}/Stats`,
  kind: "unary",
  input: protobufCodec(StatsRequestSchema),
  output: protobufCodec(StatsResponseSchema),
} as const;

/** What a process logs. */
export const logsMethod = {
  ...common,
  name: `${DebugService.typeName}/Logs`,
  kind: "server_streaming",
  input: protobufCodec(LogsRequestSchema),
  output: protobufCodec(LogsResponseSchema),
} as const;
