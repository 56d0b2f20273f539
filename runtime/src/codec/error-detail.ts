import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { ErrorDetail, MicroError } from "../base/error.ts";
import { cannotEncode } from "./errors.ts";

/**
 * Encodes a message as an error detail.
 * @throws MicroError `invalid_argument` when the message does not fit the schema.
 *
 * @example
 * ```ts
 * import { MicroError } from "@micro-es/runtime";
 * import { errorDetail } from "@micro-es/runtime/codec";
 * import { HelloRequestSchema } from "./gen/greeter/v1/greeter_pb.js";
 *
 * throw new MicroError("invalid_argument", "name is empty", {
 *   details: [errorDetail(HelloRequestSchema, { name: "" })],
 * });
 * ```
 */
export function errorDetail<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc>,
): ErrorDetail {
  try {
    return { typeName: schema.typeName, value: toBinary(schema, create(schema, message)) };
  } catch (cause) {
    throw cannotEncode(schema.typeName, cause);
  }
}

/**
 * Decodes the details of an error that are messages of one type. Details with malformed bytes are
 * skipped.
 */
export function findDetails<Desc extends DescMessage>(
  error: MicroError,
  schema: Desc,
): readonly MessageShape<Desc>[] {
  const found: MessageShape<Desc>[] = [];
  for (const { typeName, value } of error.details) {
    if (typeName !== schema.typeName) continue;
    try {
      found.push(fromBinary(schema, value));
    } catch {
      // A malformed detail from a peer must not hide the error that it came with.
    }
  }
  return found;
}
