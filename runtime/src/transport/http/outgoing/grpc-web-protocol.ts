import { MicroError } from "../../../base/error.ts";
import type { HeaderLine } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { Encoding } from "../encoding.ts";
import { isName, isValue, maxEndValues } from "../end-fields.ts";
import { decodeStatusText } from "../status-text.ts";
import { agentField, type CallProtocol } from "./call-protocol.ts";
import { grpcFields, grpcHeaderError, grpcProtocol, suffixes } from "./grpc-protocol.ts";
import { lineValue } from "./grpc-status.ts";
import { codeOfHttp, errorWith } from "./response-error.ts";
import { readOnce } from "./response-fields.ts";

/** Content types of responses; text is not supported. */
const webType = /^application\/grpc-web(?:\+(?:json(?:; ?charset=utf-?8)?|proto))?$/i;

/** Returns gRPC-Web, which is gRPC with the trailers of a response in its body. */
export function grpcWebProtocol(encoding: Encoding): CallProtocol {
  const grpc = grpcProtocol(encoding);
  const protocol: CallProtocol = {
    ...grpc,
    requestFields: [
      new HeaderField("content-type", `application/grpc-web+${suffixes[encoding]}`),
      new HeaderField("x-grpc-web", "1"),
      new HeaderField("grpc-accept-encoding", "gzip,br"),
    ],
    agentFields: [agentField, new HeaderField("x-user-agent", agentField.value)],
    endFlag: 0x80,
    read: (list) => readOnce(list, protocol, grpcFields),
    headerError(fields, status) {
      // As the package `grpc-web`, which accepts all of them.
      if (status >= 200 && status < 300) return grpcHeaderError(fields, webType);
      const message = decodeStatusText(lineValue(fields.lines, "grpc-message") ?? `HTTP ${status}`);
      return errorWith(codeOfHttp(status), message, fields.lines);
    },
    readEnd: (bytes) => grpcFields(trailerLines(bytes)),
  };
  return protocol;
}

/**
 * Reads trailers that are lines. Lines that a header cannot have are skipped.
 *
 * @throws MicroError `resource_exhausted` for too many lines
 */
function trailerLines(bytes: Uint8Array): HeaderLine[] {
  const { buffer, byteOffset, length } = bytes;
  const lines: HeaderLine[] = [];
  for (const line of Buffer.from(buffer, byteOffset, length).toString().split(/\r?\n/)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (lines.length === maxEndValues) {
      const text = `the end of a stream has more than ${maxEndValues} lines; send less at once`;
      throw new MicroError("resource_exhausted", text);
    }
    // The text of an error keeps characters that should have been percent-encoded.
    if (isName(name) && (name === "grpc-message" || isValue(value))) lines.push([name, value]);
  }
  return lines;
}
