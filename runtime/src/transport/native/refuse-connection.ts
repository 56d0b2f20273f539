import { Buffer } from "node:buffer";
import { codeToNumber, type MicroError } from "../../base/error.ts";
import { boundedText } from "./error-status.ts";
import { frameType, headerBytes, maxGoawayTextBytes, preface } from "./protocol.ts";

/**
 * Returns what a client is sent whose connection is refused: the preface, and a GOAWAY with the
 * reason.
 */
export function nativeRefusal(reason: MicroError): Buffer {
  const text = boundedText(reason.message, maxGoawayTextBytes);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(text.length, 0);
  header[4] = frameType.goaway;
  header.writeUInt32BE(codeToNumber(reason.code), 12);
  return Buffer.concat([preface, header, text]);
}
