import { Buffer } from "node:buffer";
import { create, type DescMessage, fromJson, isMessage, toJson } from "@bufbuild/protobuf";
import { isMicroError, MicroError } from "../base/error.ts";
import type { AnyCodec } from "../codec/codec.ts";
import { cannotDecode, cannotEncode, needsSchema } from "../codec/errors.ts";
import { exactJson } from "../codec/exact-json.ts";
import { checkJsonElements } from "../codec/json-elements.ts";
import { defaultMaxElements } from "../codec/message-elements.ts";
import type { BodyCodec } from "./body-codec.ts";

/**
 * go-micro's `application/json-rpc`: the request is `{"method","params":[message],"id"}`, and the
 * response `{"id","result","error"}`. Messages have the form in which Go's own JSON writes the
 * generated types, with the names of the schema and numbers for enums.
 */
export const jsonRpcForm: BodyCodec = {
  codec(of: AnyCodec) {
    if (of.schema === undefined) throw needsSchema("application/json-rpc", of.typeName);
    return goJsonCodec(of.schema);
  },
  open(body, maxElements) {
    checkJsonElements(body, maxElements, "a request of json-rpc");
    let envelope: unknown;
    try {
      envelope = JSON.parse(quoteLargeIntegers(Buffer.from(body).toString()));
    } catch (cause) {
      throw cannotDecode("JSON as a request of json-rpc", cause);
    }
    if (typeof envelope !== "object" || envelope === null) throw malformed();
    const { method, params, id } = envelope as Record<string, unknown>;
    if (typeof method !== "string" || (params !== undefined && !Array.isArray(params))) {
      throw malformed();
    }
    if (id !== undefined && id !== null && typeof id !== "string" && typeof id !== "number") {
      throw malformed();
    }
    let message: string;
    try {
      message = JSON.stringify((params as unknown[] | undefined)?.[0] ?? {});
    } catch (cause) {
      // JSON that is nested too deeply to be written.
      throw cannotDecode("JSON as a request of json-rpc", cause);
    }
    return { endpoint: method, id: JSON.stringify(id ?? null), message: Buffer.from(message) };
  },
  encodeResponse: (message, { id = "null" }) =>
    Buffer.from(`{"id":${id},"result":${Buffer.from(message).toString()},"error":null}\n`),
  error: (text, { id = "null" }) =>
    Buffer.from(`{"id":${id},"result":null,"error":${JSON.stringify(text)}}\n`),
};

const known = new WeakMap<DescMessage, AnyCodec>();

function goJsonCodec(schema: DescMessage): AnyCodec {
  let codec = known.get(schema);
  if (codec === undefined) {
    codec = {
      typeName: schema.typeName,
      contentType: "application/json-rpc",
      schema,
      encode(message) {
        try {
          const complete = isMessage(message, schema) ? message : create(schema, message);
          const options = { useProtoFieldName: true, enumAsInteger: true };
          return Buffer.from(JSON.stringify(toJson(schema, complete, options)));
        } catch (cause) {
          throw cannotEncode(`${schema.typeName} as JSON`, cause);
        }
      },
      decode: (bytes) => goJson(schema, bytes, defaultMaxElements),
      decodeWithin: (bytes, maxElements) => goJson(schema, bytes, maxElements),
    };
    known.set(schema, codec);
  }
  return codec;
}

function goJson(schema: DescMessage, bytes: Uint8Array, maxElements: number): unknown {
  try {
    const text = exactJson(Buffer.from(bytes).toString(), schema, undefined, maxElements);
    return fromJson(schema, JSON.parse(text), { ignoreUnknownFields: true });
  } catch (cause) {
    throw isMicroError(cause) ? cause : cannotDecode(`JSON as ${schema.typeName}`, cause);
  }
}

/**
 * Quotes integers that `JSON.parse` would round. protobuf accepts strings as numbers too. A string
 * that does not end is one token as well: otherwise each of its quotes would be tried as the
 * beginning of another.
 */
function quoteLargeIntegers(text: string): string {
  return text.replace(/"(?:[^"\\]+|\\[\s\S])*"?|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token,
  );
}

function malformed(): MicroError {
  return new MicroError(
    "invalid_argument",
    "the body is not a JSON-RPC request: it needs a method, a list of params, and an id that is a string, a number or null",
    { outcome: "not-executed" },
  );
}
