import { create } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { protobufCodec } from "../codec/protobuf.ts";
import { MicroError } from "../error.ts";
import {
  Health,
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../gen/grpc/health/v1/health_pb.ts";
import type { Method } from "../method.ts";
import type { Server } from "../server/server.ts";
import { HealthStatus, type ServingStatus } from "./health-status.ts";

type HealthMethod = Method<
  HealthCheckRequest,
  { readonly service?: string },
  HealthCheckResponse,
  { readonly status: Serving }
>;

/**
 * Answers gRPC health checks (`grpc.health.v1.Health`) of a server: it serves, as does each of its services, until
 * it drains. What is returned tells otherwise. Call it before the server starts.
 */
export function registerGrpcHealth(server: Server): HealthStatus {
  const health = new HealthStatus();
  const known = (service: string) =>
    health.get(service) ?? (hasService(server, service) ? serverStatus(health) : undefined);
  server.draining.addEventListener("abort", () => health.shutDown(), { once: true });
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

/** Answers gRPC health checks in a server of Connect, where `health` says how it is. */
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
