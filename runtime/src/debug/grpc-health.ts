import { listenForAbort } from "../base/abort.ts";
import { MicroError } from "../base/error.ts";
import type { Method } from "../call/method.ts";
import { protobufCodec } from "../codec/protobuf.ts";
import {
  Health,
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../gen/grpc/health/v1/health_pb.ts";
import type { Server } from "../server/server.ts";
import { HealthStatus, type ServingStatus } from "./health-status.ts";

type HealthMethod = Method<
  HealthCheckRequest,
  { readonly service?: string },
  HealthCheckResponse,
  { readonly status: Serving }
>;

/**
 * Serves gRPC health checks (`grpc.health.v1.Health`) on a server: the server and each of its
 * services are serving until the server drains. Use the returned status to report otherwise. Call
 * it before the server starts.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { registerGrpcHealth } from "@micro-es/runtime/debug/grpc";
 *
 * const service = createService({ name: "greeter" });
 * registerGrpcHealth(service.server);
 * ```
 */
export function registerGrpcHealth(server: Server): HealthStatus {
  const health = new HealthStatus();
  server.addReadinessCheck("gRPC health", () => serverStatus(health) === "serving");
  const known = (service: string) =>
    health.get(service) ?? (hasService(server, service) ? serverStatus(health) : undefined);
  listenForAbort(server.draining, () => health.shutDown());
  server.unary(checkMethod, ({ service }) => {
    const status = known(service);
    if (status === undefined) throw new MicroError("not_found", notKnown(service));
    return { status: numberOf(status) };
  });
  server.serverStream(watchMethod, async function* ({ service }, { signal }) {
    if (health.get(service) === undefined && hasService(server, service)) {
      health.set(service, serverStatus(health));
    }
    for await (const status of health.watch(service, signal)) yield { status: numberOf(status) };
  });
  return health;
}

const checkMethod: HealthMethod = healthMethod("Check", "unary");
const watchMethod: HealthMethod = healthMethod("Watch", "server_streaming");

function healthMethod(rpc: string, kind: HealthMethod["kind"]): HealthMethod {
  return {
    service: "",
    name: `${Health.typeName}/${rpc}`,
    kind,
    input: protobufCodec(HealthCheckRequestSchema),
    output: protobufCodec(HealthCheckResponseSchema),
    idempotency: "no_side_effects",
    auth: { public: true },
  };
}

function serverStatus(health: HealthStatus): ServingStatus {
  return health.get("") ?? "not_serving";
}

function hasService(server: Server, service: string): boolean {
  return server.methods.some(({ name }) => name.startsWith(`${service}/`));
}

/** A status as the protocol numbers it; undefined for a service that is not known. */
export function numberOf(status: ServingStatus | undefined): Serving {
  if (status === undefined) return Serving.SERVICE_UNKNOWN;
  return status === "serving" ? Serving.SERVING : Serving.NOT_SERVING;
}

/** The error text for a service that is not known. */
export function notKnown(service: string): string {
  return `no service ${JSON.stringify(service.slice(0, 200))} is known here`;
}
