import { create } from "@bufbuild/protobuf";
import { codeToNumber } from "../base/error.ts";
import type { Method } from "../call/method.ts";
import { loadDescriptors } from "../codec/file-descriptors.ts";
import { protobufCodec } from "../codec/protobuf.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import type { Server } from "../server/server.ts";
import { DescriptorPool } from "./descriptor-pool.ts";

/**
 * The older of the two versions has the same messages under another name, and so the same bytes.
 */
const reflectionServices = [ServerReflection.typeName, ServerReflectionAlpha.typeName];

/**
 * Serves gRPC server reflection, v1 and v1alpha, for the methods and events that have a handler, so
 * that `grpcurl list`, `describe` and calls by name work. Call it before the server starts. Methods
 * whose codecs have no descriptor are not described.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
 *
 * const service = createService({ name: "greeter" });
 * registerGrpcReflection(service.server);
 * ```
 */
export function registerGrpcReflection(server: Server): void {
  let pool: DescriptorPool | undefined;
  for (const service of reflectionServices) {
    server.bidi(reflectionMethod(service), async function* (requests) {
      for await (const request of requests) {
        if (pool === undefined) {
          await loadDescriptors();
          pool = new DescriptorPool([], server.methods, server.events);
        }
        yield responseTo(pool, request);
      }
    });
  }
}

function reflectionMethod(
  service: string,
): Method<
  ServerReflectionRequest,
  ServerReflectionRequest,
  ServerReflectionResponse,
  ServerReflectionResponse
> {
  return {
    service: "",
    name: `${service}/ServerReflectionInfo`,
    kind: "bidi_streaming",
    input: protobufCodec(ServerReflectionRequestSchema) as never,
    output: protobufCodec(ServerReflectionResponseSchema) as never,
    idempotency: "no_side_effects",
    auth: { scopes: ["micro.reflect"], optional: true },
  };
}

type MessageResponse = ServerReflectionResponse["messageResponse"];

/** Responds to one request of reflection. */
export function responseTo(
  pool: DescriptorPool,
  request: Omit<ServerReflectionRequest, "$typeName">,
): ServerReflectionResponse {
  const response = create(ServerReflectionResponseSchema, { validHost: request.host });
  const { host, messageRequest } = request;
  response.originalRequest = create(ServerReflectionRequestSchema, {
    host,
    messageRequest,
  } as never);
  response.messageResponse = find(pool, messageRequest);
  return response;
}

function find(
  pool: DescriptorPool,
  request: ServerReflectionRequest["messageRequest"],
): MessageResponse {
  const of = (value: object) =>
    create(ServerReflectionResponseSchema, { messageResponse: value as never }).messageResponse;
  switch (request.case) {
    case "listServices":
      return of({
        case: "listServicesResponse",
        value: { service: pool.services.map((name) => ({ name })) },
      });
    case "fileByFilename":
      return of(files(pool.fileByName(request.value), request.value));
    case "fileContainingSymbol":
      return of(files(pool.fileOfSymbol(request.value), request.value));
    case "allExtensionNumbersOfType":
      return of({
        case: "allExtensionNumbersResponse",
        value: { baseTypeName: request.value, extensionNumber: [] },
      });
    case "fileContainingExtension":
      return of(files(undefined, request.value.containingType));
    default:
      return of({
        case: "errorResponse",
        value: {
          errorCode: codeToNumber("invalid_argument"),
          errorMessage: "the request asks for nothing",
        },
      });
  }
}

function files(found: readonly Uint8Array[] | undefined, name: string): object {
  if (found !== undefined) {
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: found } };
  }
  return {
    case: "errorResponse",
    value: {
      errorCode: codeToNumber("not_found"),
      errorMessage: `${JSON.stringify(name.slice(0, 200))} is not known here`,
    },
  };
}
