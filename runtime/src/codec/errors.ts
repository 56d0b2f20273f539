import { type MicroError, messageOf, UncheckedMicroError } from "../base/error.ts";

/** The error of a message that cannot be encoded. */
export function cannotEncode(what: string, cause: unknown): MicroError {
  return new UncheckedMicroError("invalid_argument", `cannot encode ${what}: ${messageOf(cause)}`, {
    cause,
    outcome: "not-executed",
  });
}

/** The error of bytes that are not the expected message. */
export function cannotDecode(what: string, cause: unknown): MicroError {
  return new UncheckedMicroError("invalid_argument", `cannot decode ${what}: ${messageOf(cause)}`, {
    cause,
  });
}

/** The error of a format that lacks the descriptor of a requested type. */
export function needsSchema(contentType: string, typeName: string): MicroError {
  return new UncheckedMicroError(
    "unimplemented",
    `${contentType} needs the descriptor of ${typeName || "an untyped message"}, and its codec has none; use the codec of a method or of a generated list, after loadDescriptors()`,
    { outcome: "not-executed" },
  );
}
