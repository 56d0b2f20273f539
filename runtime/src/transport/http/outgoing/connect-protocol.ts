import { type Code, isCode, type MicroError } from "../../../base/error.ts";
import { checkJsonElements } from "../../../codec/json-elements.ts";
import type { HeaderLine } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { type ErrorJson, readEndJson, readErrorJson } from "../connect/error-json.ts";
import type { Encoding } from "../encoding.ts";
import { maxEndValues } from "../end-fields.ts";
import { agentField, type CallProtocol } from "./call-protocol.ts";
import { suffixes } from "./grpc-protocol.ts";
import { codeOfHttp, encodingError, responseError, unsupportedType } from "./response-error.ts";
import { type ResponseFields, readLines, readMetadata, readOnce } from "./response-fields.ts";

/** The most that a timeout may be, in milliseconds: Connect allows ten digits. */
const longestTimeout = 9_999_999_999;

/** In the header of a unary response, the names of trailers begin with it. */
const trailerPrefix = "trailer-";

const streamEncodingName = "connect-content-encoding";
const unaryEncodingName = "content-encoding";

/** What unary calls and streams have in common. */
const common = {
  agentFields: [agentField],
  timeoutField: (ms: number) =>
    new HeaderField("connect-timeout-ms", String(Math.min(ms, longestTimeout))),
};
const version = new HeaderField("connect-protocol-version", "1");

/** Returns Connect for streams, which end with a message in JSON. */
export function connectStreamProtocol(encoding: Encoding): CallProtocol {
  const protocol: CallProtocol = {
    ...common,
    requestFields: [
      new HeaderField("content-type", `application/connect+${suffixes[encoding]}`),
      version,
      new HeaderField("connect-accept-encoding", "gzip,br"),
    ],
    encodingName: streamEncodingName,
    isEnveloped: true,
    endFlag: 0x02,
    read: (list) =>
      readOnce(list, protocol, (lines) => ({
        ...readLines(lines, streamEncodingName),
        hasStatus: false,
        failure: undefined,
      })),
    headerError: (fields, status) => connectHeaderError(fields, status, encoding, true),
    readEnd: endOfStream,
  };
  return protocol;
}

/** Returns Connect for unary calls, whose messages are bodies of their own. */
export function connectUnaryProtocol(encoding: Encoding): CallProtocol {
  const protocol: CallProtocol = {
    ...common,
    requestFields: [
      new HeaderField("content-type", `application/${suffixes[encoding]}`),
      version,
      new HeaderField("accept-encoding", "gzip,br"),
    ],
    encodingName: unaryEncodingName,
    isEnveloped: false,
    endFlag: 0,
    read: (list) => readOnce(list, protocol, unaryFields),
    headerError(fields, status) {
      const isErrorInJson = status !== 200 && typeOf(fields.contentType)?.encoding === "json";
      return isErrorInJson
        ? encodingError(fields.encoding)
        : connectHeaderError(fields, status, encoding, false);
    },
    readEnd: errorOfUnary,
  };
  return protocol;
}

/** Reads the header of a unary response, which has the trailers too. */
function unaryFields(lines: readonly HeaderLine[]): ResponseFields {
  const head: HeaderLine[] = [];
  const trailers: HeaderLine[] = [];
  for (const line of lines) {
    const [name, value] = line;
    if (!name.startsWith(trailerPrefix)) head.push(line);
    else trailers.push([name.slice(trailerPrefix.length), value]);
  }
  const fields = readLines(head, unaryEncodingName);
  const { metadata, metadataError } = readMetadata(trailers);
  return {
    ...fields,
    trailers: metadata,
    metadataError: fields.metadataError ?? metadataError,
    hasStatus: false,
    failure: undefined,
  };
}

function connectHeaderError(
  { lines, contentType, encoding }: ResponseFields,
  status: number,
  expected: Encoding,
  isStream: boolean,
): MicroError | undefined {
  const error = encodingError(encoding);
  if (error !== undefined) return error;
  if (status !== 200) return responseError(codeOfHttp(status), `HTTP ${status}`, lines, []);
  const type = typeOf(contentType);
  if (type === undefined) return unsupportedType(contentType, "unknown");
  if (type.encoding === expected && type.isStream === isStream) return undefined;
  return unsupportedType(contentType, "internal");
}

function typeOf(
  contentType: string,
): { readonly isStream: boolean; readonly encoding: Encoding } | undefined {
  const type = /^application\/(connect\+)?(?:json(?:; ?charset=utf-?8)?|(proto))$/i.exec(
    contentType,
  );
  if (type === null) return undefined;
  return { isStream: type[1] !== undefined, encoding: type[2] === undefined ? "json" : "binary" };
}

function endOfStream(bytes: Uint8Array): ResponseFields {
  checkJsonElements(bytes, maxEndValues, "the end of a stream");
  const { error, metadata } = readEndJson(textOf(bytes));
  const lines = metadata.flatMap(([name, values]) =>
    values.map((value): HeaderLine => [name.toLowerCase(), value]),
  );
  return {
    ...readLines(lines, streamEncodingName),
    hasStatus: true,
    failure:
      error === undefined
        ? undefined
        : (head) => errorOfJson(error, "unknown", [...lines, ...head]),
  };
}

/** Reads the body of a unary response that is an error. */
function errorOfUnary(bytes: Uint8Array, status: number): ResponseFields {
  checkJsonElements(bytes, maxEndValues, "the JSON of an error");
  const error = readErrorJson(textOf(bytes)) ?? { message: `HTTP ${status}`, details: [] };
  return {
    ...readLines([], unaryEncodingName),
    hasStatus: true,
    failure: (head) => errorOfJson(error, codeOfHttp(status), head),
  };
}

/** @param otherwise the code of an error whose own code is unknown */
function errorOfJson(
  { code, message, details }: ErrorJson,
  otherwise: Code,
  lines: readonly HeaderLine[],
): MicroError {
  return responseError(
    isCode(code) ? code : otherwise,
    message,
    lines,
    details.map(({ type, value }) => ({
      typeName: type,
      value: new Uint8Array(Buffer.from(value, "base64")),
    })),
  );
}

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString();
}
