import { BinaryReader } from "@bufbuild/protobuf/wire";
import { codeFromNumber, type ErrorDetail, type MicroError } from "../../../base/error.ts";
import type { HeaderLine } from "../../http-headers.ts";
import { decodeStatusText } from "../status-text.ts";
import { responseError } from "./response-error.ts";

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
  return (head) =>
    responseError(
      codeFromNumber(number),
      agreeing?.message ?? text,
      [...lines, ...head],
      agreeing?.details ?? [],
    );
}

/** Returns the values of a name, as HTTP joins them. */
export function lineValue(lines: readonly HeaderLine[], name: string): string | undefined {
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
