import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ErrorDetail, MicroError } from "../../error.ts";
import { toGoMicroError } from "./error-text.ts";

/** The type of the detail by which go-micro's gRPC servers and clients tell each other an error. */
export const goMicroErrorType = "errors.Error";

/** An error as go-micro's detail of a status. @param id who failed */
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
