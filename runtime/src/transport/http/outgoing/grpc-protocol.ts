import type { MicroError } from "../../../base/error.ts";
import type { HeaderLine } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { Encoding } from "../encoding.ts";
import { agentField, type CallProtocol } from "./call-protocol.ts";
import { statusError } from "./grpc-status.ts";
import { codeOfHttp, encodingError, errorWith, unsupportedType } from "./response-error.ts";
import { type ResponseFields, readLines, readOnce } from "./response-fields.ts";

/** The most that a timeout may be: gRPC allows eight digits. */
const longestTimeout = 99_999_999;

const encodingName = "grpc-encoding";
const acceptedEncodings = new HeaderField("grpc-accept-encoding", "gzip,br");

/** Content types of responses, as Connect's client accepts them. */
const grpcType = /^application\/grpc(?:\+(?:json(?:; ?charset=utf-?8)?|proto))?$/i;

/** Returns gRPC over HTTP/2, whose responses end with trailers. */
export function grpcProtocol(encoding: Encoding): CallProtocol {
  const protocol: CallProtocol = {
    requestFields: [
      new HeaderField("te", "trailers"),
      new HeaderField("content-type", `application/grpc+${suffixes[encoding]}`),
      acceptedEncodings,
    ],
    agentFields: [agentField],
    encodingName,
    isEnveloped: true,
    endFlag: 0,
    timeoutField: grpcTimeout,
    read: (list) => readOnce(list, protocol, grpcFields),
    headerError(fields, status) {
      if (status !== 200) return errorWith(codeOfHttp(status), `HTTP ${status}`, fields.lines);
      return grpcHeaderError(fields, grpcType);
    },
  };
  return protocol;
}

/** The end of a content type. */
export const suffixes: Readonly<Record<Encoding, string>> = { binary: "proto", json: "json" };

/** Reads a header or trailers that may have a status. */
export function grpcFields(lines: readonly HeaderLine[]): ResponseFields {
  const hasStatus = lines.some(([name]) => name === "grpc-status");
  const failure = hasStatus ? statusError(lines) : undefined;
  return { ...readLines(lines, encodingName), hasStatus, failure };
}

/** Returns the error of a successful header that has another content type or encoding. */
export function grpcHeaderError(
  { contentType, encoding }: ResponseFields,
  accepted: RegExp,
): MicroError | undefined {
  return accepted.test(contentType)
    ? encodingError(encoding)
    : unsupportedType(contentType, "unknown");
}

export function grpcTimeout(ms: number): HeaderField {
  const text =
    ms <= longestTimeout ? `${ms}m` : `${Math.min(Math.ceil(ms / 1_000), longestTimeout)}S`;
  return new HeaderField("grpc-timeout", text);
}
