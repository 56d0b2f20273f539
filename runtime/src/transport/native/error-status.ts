import {
  codeFromNumber,
  codeToNumber,
  type ErrorDetail,
  MicroError,
  type Outcome,
} from "../../base/error.ts";
import { readUint16, readUint32 } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { view } from "./payload.ts";
import { maxDetailBytes, maxDetails, maxStatusTextBytes } from "./protocol.ts";

const outcomes: readonly Outcome[] = ["unknown", "not-executed", "executed"];
const maxRetryAfterMs = 0xffff_ffff;

/** The `method` field of a RESULT with an error: outcome and code. */
export function statusField(error: MicroError): number {
  return (Math.max(0, outcomes.indexOf(error.outcome)) << 8) | codeToNumber(error.code);
}

/** The `aux` field of a RESULT with an error. */
export function retryField(error: MicroError): number {
  const { retryAfterMs } = error;
  if (retryAfterMs === undefined || !(retryAfterMs > 0)) return 0;
  return Math.min(Math.ceil(retryAfterMs), maxRetryAfterMs);
}

/** Writes text and details at the end of the open frame. Leaves out what exceeds the bounds. */
export function writeStatus(writer: FrameWriter, error: MicroError): void {
  writer.block(boundedText(error.message, maxStatusTextBytes));
  let bytes = 0;
  let count = 0;
  for (const detail of error.details) {
    const name = Buffer.from(detail.typeName, "utf8");
    if (!(detail.value instanceof Uint8Array) || name.length > 0xffff) continue;
    bytes += name.length + detail.value.length;
    if (bytes > maxDetailBytes || ++count > maxDetails) break;
    writer.block(name);
    writer.uint32(detail.value.length);
    writer.bytes(detail.value);
  }
}

/**
 * Reads the error of a RESULT from its two header fields and its payload after the metadata.
 * @throws MicroError `invalid_argument` if it is malformed.
 */
export function readStatus(
  field: number,
  retry: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): MicroError {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = start;
  const take = (length: number): number => {
    const from = at;
    at += length;
    if (at > end) throw new MicroError("invalid_argument", "received a status that is cut off");
    return from;
  };
  const textLength = readUint16(bytes, take(2));
  const textAt = take(textLength);
  const message = buffer.toString("utf8", textAt, textAt + textLength);
  const details: ErrorDetail[] = [];
  while (at < end) {
    if (details.length === maxDetails) {
      throw new MicroError("invalid_argument", `received a status with over ${maxDetails} details`);
    }
    const nameLength = readUint16(bytes, take(2));
    const nameAt = take(nameLength);
    const valueLength = readUint32(bytes, take(4));
    const valueAt = take(valueLength);
    details.push({
      typeName: buffer.toString("utf8", nameAt, nameAt + nameLength),
      value: view(bytes, valueAt, valueAt + valueLength).slice(),
    });
  }
  return new MicroError(codeFromNumber(field & 0xff), message, {
    outcome: outcomes[field >>> 8] ?? "unknown",
    details,
    ...(retry > 0 && { retryAfterMs: retry }),
  });
}

/** Encodes text as UTF-8. Text that is too long is truncated at a character boundary. */
export function boundedText(text: string, limit: number): Uint8Array {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
