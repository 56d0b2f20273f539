import { MicroError } from "../error.ts";

/** The error of a message that cannot be written. */
export function cannotEncode(what: string, cause: unknown): MicroError {
  return new MicroError("invalid_argument", `cannot encode ${what}: ${reasonOf(cause)}`, {
    cause,
    outcome: "not-executed",
  });
}

/** The error of bytes that are not the message they should be. */
export function cannotDecode(what: string, cause: unknown): MicroError {
  return new MicroError("invalid_argument", `cannot decode ${what}: ${reasonOf(cause)}`, { cause });
}

/** The error of a format that is asked for a type it knows no descriptor of. */
export function needsSchema(contentType: string, typeName: string): MicroError {
  return new MicroError(
    "unimplemented",
    `${contentType} needs the descriptor of ${typeName || "an untyped message"}, and its codec has none`,
    { outcome: "not-executed" },
  );
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
