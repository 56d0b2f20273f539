import { create, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponseSchema } from "../gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflectionRequestSchema as AlphaRequestSchema,
  ServerReflectionResponseSchema as AlphaResponseSchema,
  ServerReflection as ServerReflectionAlpha,
} from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { DescriptorPool } from "./descriptor-pool.ts";
import { notKnown, numberOf } from "./grpc-health.ts";
import { responseTo } from "./grpc-reflection.ts";
import type { HealthStatus } from "./health-status.ts";

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

/** Serves gRPC server reflection, v1 and v1alpha, in a Connect server with these services. */
export function grpcReflectionRoutes(
  services: readonly DescService[],
): (router: ConnectRouter) => void {
  return (router) => {
    const pool = new DescriptorPool([...services, ServerReflection, ServerReflectionAlpha]);
    router.service(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) yield responseTo(pool, request);
      },
    });
    router.service(ServerReflectionAlpha, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const bytes = toBinary(AlphaRequestSchema, request);
          const response = responseTo(pool, fromBinary(ServerReflectionRequestSchema, bytes));
          yield fromBinary(AlphaResponseSchema, toBinary(ServerReflectionResponseSchema, response));
        }
      },
    });
  };
}
