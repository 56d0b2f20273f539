import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ErrorDetail, MicroError } from "../../base/error.ts";
import { toGoMicroError } from "../go-micro-error.ts";

/** The type of the status detail in which go-micro's gRPC servers and clients exchange errors. */
export const goMicroErrorType = "errors.Error";

/**
 * Formats an error as go-micro's status detail.
 * @param id where the error occurred
 */
export function goMicroDetail(error: MicroError, id: string): ErrorDetail {
  const { id: who, code, detail, status } = toGoMicroError(error, id);
  const writer = new BinaryWriter();
  const text = (field: number, value: string) => {
    if (value !== "") writer.tag(field, WireType.LengthDelimited).string(value);
  };
  text(1, who);
  writer.tag(2, WireType.Varint).int32(code);
  text(3, detail);
  text(4, status);
  return { typeName: goMicroErrorType, value: writer.finish() };
}
