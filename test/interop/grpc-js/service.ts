import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** A generated service in grpc-js' form. */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [method.localName, definition(method)]),
  );
}

function definition(method: DescMethod): MethodDefinition<unknown, unknown> {
  const { input, output, methodKind, parent, name } = method;
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: serializer(input),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: serializer(output),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}

function serializer(schema: DescMessage): (message: unknown) => Buffer {
  return (message) => Buffer.from(toBinary(schema, message as never));
}
