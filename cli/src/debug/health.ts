import { asMicroError, type CallOptions, type Client } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@micro-es/runtime/gen/grpc/health/v1/health_pb.js";

/** Served by every service with gRPC health checks. */
const check = {
  service: "",
  name: "grpc.health.v1.Health/Check",
  kind: "unary",
  input: protobufCodec(HealthCheckRequestSchema),
  output: protobufCodec(HealthCheckResponseSchema),
  idempotency: "no_side_effects",
} as const;

/** Health of a process. */
export interface Health {
  /**
   * gRPC's status, `unchecked` if it responds but has no health check, or the code of the error.
   */
  readonly status: string;
  readonly good: boolean;
  /** The reason; empty if the status says it all. */
  readonly detail: string;
}

/** Checks the health of a process. */
export async function askHealth(client: Client, options: CallOptions): Promise<Health> {
  try {
    const { status } = await client.unary(check, {}, options);
    return { status: statusName(status), good: status === Status.SERVING, detail: "" };
  } catch (reason) {
    const { code, message } = asMicroError(reason);
    return code === "unimplemented"
      ? { status: "unchecked", good: true, detail: "it responds, but has no health check" }
      : { status: code, good: false, detail: message };
  }
}

function statusName(status: number): string {
  const [name = "unknown"] = Object.entries(Status).find(([, number]) => number === status) ?? [];
  return name.toLowerCase();
}
