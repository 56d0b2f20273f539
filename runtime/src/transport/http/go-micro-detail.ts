import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type ErrorDetail, MicroError } from "../../base/error.ts";
import { errorText, toGoMicroError } from "../go-micro-error.ts";

/** The type of the status detail in which go-micro's gRPC servers and clients exchange errors. */
export const goMicroErrorType = "errors.Error";

/**
 * Converts an error for a go-micro client: its JSON is the message, and go-micro's detail the only
 * one. go-micro clients treat the first detail as a Go error, whatever it is, and crash if it is
 * not one.
 *
 * @param id where the error occurred
 */
export function goMicroStatus(error: MicroError, id: string): MicroError {
  const { code, outcome, retryAfterMs } = error;
  return new MicroError(code, errorText(error, id), {
    outcome,
    details: [goMicroDetail(error, id)],
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/**
 * Formats an error as go-micro's status detail.
 * @param id where the error occurred
 */
function goMicroDetail(error: MicroError, id: string): ErrorDetail {
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
