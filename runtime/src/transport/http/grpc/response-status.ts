import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  type Code,
  codeFromNumber,
  type ErrorDetail,
  isOutcome,
  MicroError,
} from "../../../base/error.ts";
import { markRemote } from "../../../call/remote-error.ts";
import { parseErrorText } from "../../go-micro-error.ts";
import { type HeaderLine, outcomeKey, pushbackKey } from "../../http-headers.ts";
import { goMicroErrorType } from "../go-micro-detail.ts";
import { decodeStatusText } from "../status-text.ts";

/** The number of `unknown`, for a status that gRPC does not define. */
const unknownNumber = 2;

/** `google.rpc.Status`. */
interface StatusDetails {
  readonly code: number;
  readonly message: string;
  readonly details: readonly ErrorDetail[];
}

/**
 * Reads the status of a response. Returns undefined for success, and otherwise what creates the
 * error: each call has its own.
 */
export function statusError(
  lines: readonly HeaderLine[],
): ((head: readonly HeaderLine[]) => MicroError) | undefined {
  const status = lineValue(lines, "grpc-status") ?? "";
  if (status === "0") return undefined;
  const isDefined = /^(?:[1-9]|1[0-6])$/.test(status);
  const number = isDefined ? Number(status) : unknownNumber;
  const said = decodeStatusText(lineValue(lines, "grpc-message") ?? "");
  const text = isDefined
    ? said
    : `invalid grpc-status ${JSON.stringify(status.slice(0, 20))}: ${said}`;
  const details = detailsOf(lineValue(lines, "grpc-status-details-bin"));
  // Details of another status belong to another error.
  const agreeing = details?.code === number ? details : undefined;
  return (head) => {
    let code = codeFromNumber(number);
    let message = agreeing?.message ?? text;
    const kept: ErrorDetail[] = [];
    for (const detail of agreeing?.details ?? []) {
      if (detail.typeName === goMicroErrorType) {
        const parsed = parseErrorText(message);
        message = parsed.text;
        // gRPC has no number for some of go-micro's codes.
        if (code === "unknown") code = parsed.code;
      } else kept.push(detail);
    }
    return markResponse(errorWith(code, message, [...lines, ...head], kept));
  };
}

/** Creates an error with the outcome and the push-back that a response states. */
export function errorWith(
  code: Code,
  message: string,
  lines: readonly HeaderLine[],
  details: readonly ErrorDetail[] = [],
): MicroError {
  const outcome = lines.find(([name]) => name === outcomeKey)?.[1];
  const pushback = Number(lines.find(([name]) => name === pushbackKey)?.[1] ?? Number.NaN);
  return new MicroError(code, message, {
    outcome: isOutcome(outcome) ? outcome : "unknown",
    details,
    ...(pushback > 0 && { retryAfterMs: pushback }),
  });
}

/** An error from a Micro-ES server is recognized by its outcome. */
function markResponse(error: MicroError): MicroError {
  return error.outcome === "unknown" ? markRemote(error) : error;
}

/** Returns the values of a name, as HTTP joins them. */
function lineValue(lines: readonly HeaderLine[], name: string): string | undefined {
  let joined: string | undefined;
  for (const [key, value] of lines) {
    if (key === name) joined = joined === undefined ? value : `${joined}, ${value}`;
  }
  return joined;
}

/** Returns undefined for details that cannot be decoded. */
function detailsOf(base64: string | undefined): StatusDetails | undefined {
  if (base64 === undefined) return undefined;
  try {
    return readStatus(new Uint8Array(Buffer.from(base64, "base64")));
  } catch {
    return undefined;
  }
}

function readStatus(bytes: Uint8Array): StatusDetails {
  const reader = new BinaryReader(bytes);
  const details: ErrorDetail[] = [];
  let code = 0;
  let message = "";
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === 0) code = reader.int32();
    else if (field === 2 && type === 2) message = reader.string();
    else if (field === 3 && type === 2) details.push(readAny(reader.bytes()));
    else reader.skip(type, field);
  }
  return { code, message, details };
}

function readAny(bytes: Uint8Array): ErrorDetail {
  const reader = new BinaryReader(bytes);
  let url = "";
  let value: Uint8Array = new Uint8Array(0);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === 2) url = reader.string();
    else if (field === 2 && type === 2) value = reader.bytes();
    else reader.skip(type, field);
  }
  return { typeName: url.slice(url.lastIndexOf("/") + 1), value: new Uint8Array(value) };
}
