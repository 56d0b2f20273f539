import { codeFromNumber, type ErrorDetail, MicroError } from "../base/error.ts";

/**
 * The fields read from a `ConnectError`. It is recognized by its shape, because nothing else here
 * needs Connect.
 */
interface ConnectErrorShape {
  readonly rawMessage: string;
  readonly details: readonly (
    | { readonly desc: unknown }
    | { readonly type: string; readonly value: Uint8Array }
  )[];
}

/**
 * Converts an error of another gRPC library to a MicroError: a `ConnectError`, or grpc-js's
 * `ServiceError`, which has a number from 1 to 16 as `code` and a string as `details`. Both are
 * meant for a caller, so code and message are kept. Returns undefined for anything else; never
 * throws. Of Connect's details only those that are bytes are kept, as they are for a response:
 * encoding others would require protobuf-es, which a server does not load for this.
 */
export function fromForeignError(reason: unknown): MicroError | undefined {
  try {
    if (typeof reason !== "object" || reason === null) return undefined;
    const { code } = reason as { readonly code?: unknown };
    if (!isStatusNumber(code)) return undefined;
    if (isConnectError(reason)) {
      return new MicroError(codeFromNumber(code), reason.rawMessage, {
        outcome: "executed",
        details: detailsOf(reason),
        cause: reason,
      });
    }
    const { details } = reason as { readonly details?: unknown };
    if (typeof details !== "string") return undefined;
    return new MicroError(codeFromNumber(code), details, { outcome: "executed", cause: reason });
  } catch {
    return undefined;
  }
}

/**
 * Suggests what to throw instead of an error that only looks like a status, such as
 * `Object.assign(new Error(), { code: 5 })`: Node uses the same numbers for other things, so its
 * message may not be for the caller. Undefined for other values.
 */
export function hintFor(reason: unknown): string | undefined {
  try {
    const { code } = reason as { readonly code?: unknown };
    if (!isStatusNumber(code) || reason instanceof DOMException) return undefined;
    return `if ${code} is a gRPC status, throw new MicroError("${codeFromNumber(code)}", message), which the caller gets as it is`;
  } catch {
    return undefined;
  }
}

function isStatusNumber(code: unknown): code is number {
  return Number.isInteger(code) && (code as number) >= 1 && (code as number) <= 16;
}

function isConnectError(reason: object): reason is ConnectErrorShape {
  const { name, rawMessage } = reason as { readonly name?: unknown; readonly rawMessage?: unknown };
  return name === "ConnectError" && typeof rawMessage === "string";
}

function detailsOf(error: ConnectErrorShape): readonly ErrorDetail[] {
  return error.details.flatMap((detail) =>
    "type" in detail ? [{ typeName: detail.type, value: detail.value }] : [],
  );
}

/** Whether converting the error lost details. */
export function losesDetails(reason: unknown): boolean {
  try {
    const { details } = reason as Partial<ConnectErrorShape>;
    return Array.isArray(details) && details.some((detail) => "desc" in detail);
  } catch {
    return false;
  }
}
