import { asMicroError, type CallOptions, type Client } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@micro-es/runtime/gen/grpc/health/v1/health_pb.js";

/** Answered by every service that has gRPC's health checking. */
const check = {
  service: "",
  name: "grpc.health.v1.Health/Check",
  kind: "unary",
  input: protobufCodec(HealthCheckRequestSchema),
  output: protobufCodec(HealthCheckResponseSchema),
  idempotency: "no_side_effects",
} as const;

/** How a process is. */
export interface Health {
  /** gRPC's word for it, `unchecked` where it answers and has no health check, or the code of why it does not answer. */
  readonly status: string;
  readonly good: boolean;
  /** Why it is so; empty for what the status says. */
  readonly detail: string;
}

/** Asks one process how it is. */
export async function askHealth(client: Client, options: CallOptions): Promise<Health> {
  try {
    const { status } = await client.unary(check, {}, options);
    return { status: statusName(status), good: status === Status.SERVING, detail: "" };
  } catch (reason) {
    const { code, message } = asMicroError(reason);
    return code === "unimplemented"
      ? { status: "unchecked", good: true, detail: "it answers, but has no health check" }
      : { status: code, good: false, detail: message };
  }
}

function statusName(status: number): string {
  const [name = "unknown"] = Object.entries(Status).find(([, number]) => number === status) ?? [];
  return name.toLowerCase();
}
