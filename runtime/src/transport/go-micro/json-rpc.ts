import { Buffer } from "node:buffer";
import { create, type DescMessage, fromJson, isMessage, toJson } from "@bufbuild/protobuf";
import type { AnyCodec } from "../../codec/codec.ts";
import { cannotDecode, cannotEncode, needsSchema } from "../../codec/errors.ts";
import { MicroError } from "../../error.ts";
import type { BodyForm } from "./body-form.ts";

/**
 * go-micro's `application/json-rpc`: `{"method","params":[message],"id"}`, answered by `{"id","result","error"}`.
 * Messages are as Go's own JSON has the generated types, with the names of the schema and numbers for enums.
 */
export const jsonRpcForm: BodyForm = {
  codec(of: AnyCodec) {
    if (of.schema === undefined) throw needsSchema("application/json-rpc", of.typeName);
    return goJsonCodec(of.schema);
  },
  open(body) {
    let envelope: unknown;
    try {
      envelope = JSON.parse(Buffer.from(body).toString());
    } catch (cause) {
      throw cannotDecode("JSON as a request of json-rpc", cause);
    }
    if (typeof envelope !== "object" || envelope === null) throw malformed();
    const { method, params, id } = envelope as Record<string, unknown>;
    if (typeof method !== "string" || (params !== undefined && !Array.isArray(params))) {
      throw malformed();
    }
    return {
      endpoint: method,
      id: JSON.stringify(id ?? null),
      message: Buffer.from(JSON.stringify((params as unknown[] | undefined)?.[0] ?? {})),
    };
  },
  answer: (message, { id = "null" }) =>
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
      decode(bytes) {
        try {
          const value = JSON.parse(Buffer.from(bytes).toString());
          return fromJson(schema, value, { ignoreUnknownFields: true });
        } catch (cause) {
          throw cannotDecode(`JSON as ${schema.typeName}`, cause);
        }
      },
    };
    known.set(schema, codec);
  }
  return codec;
}

function malformed(): MicroError {
  return new MicroError(
    "invalid_argument",
    "the body is no request of json-rpc: it wants a method and a list of params",
    { outcome: "not-executed" },
  );
}
