import { create } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, type ConnectRouter } from "@connectrpc/connect";
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

/** Serves gRPC health checks in a Connect server; `health` holds the status. */
export function grpcHealthRoutes(health: HealthStatus): (router: ConnectRouter) => void {
  return (router) => {
    router.service(Health, {
      check({ service }) {
        const status = health.get(service);
        if (status === undefined) throw new ConnectError(notKnown(service), ConnectCode.NotFound);
        return create(HealthCheckResponseSchema, { status: numberOf(status) });
      },
      async *watch({ service }, { signal }) {
        for await (const status of health.watch(service, signal)) {
          yield create(HealthCheckResponseSchema, { status: numberOf(status) });
        }
      },
    });
  };
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

function numberOf(status: ServingStatus | undefined): Serving {
  if (status === undefined) return Serving.SERVICE_UNKNOWN;
  return status === "serving" ? Serving.SERVING : Serving.NOT_SERVING;
}

function notKnown(service: string): string {
  return `no service ${JSON.stringify(service.slice(0, 200))} is known here`;
}
