import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { AnyMethod, MethodKind } from "../../call/method.ts";
import { opaqueSchema } from "./opaque-message.ts";

/** Describes a method for Connect: its full name, its kind, and the types of its messages. */
export function methodDescriptor(
  name: string,
  kind: MethodKind,
  idempotency: AnyMethod["idempotency"],
  input: DescMessage = opaqueSchema,
  output: DescMessage = opaqueSchema,
): DescMethod {
  const slash = name.lastIndexOf("/");
  const rpc = name.slice(slash + 1);
  // Connect reads only the name of the service.
  const parent = { kind: "service", typeName: name.slice(0, slash) } as DescService;
  return {
    kind: "rpc",
    name: rpc,
    localName: rpc,
    parent,
    methodKind: kind,
    input,
    output,
    idempotency: levels[idempotency],
    deprecated: false,
  } as unknown as DescMethod;
}

const levels: Record<AnyMethod["idempotency"], MethodOptions_IdempotencyLevel> = {
  unknown: MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN,
  idempotent: MethodOptions_IdempotencyLevel.IDEMPOTENT,
  no_side_effects: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
};
