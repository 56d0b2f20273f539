import { Buffer } from "node:buffer";
import { MicroError } from "../base/error.ts";
import { jsonFormat } from "../codec/json.ts";
import type { BodyCodec } from "./body-codec.ts";
import { jsonRpcForm } from "./json-rpc.ts";
import { protoRpcForm } from "./proto-rpc.ts";

const nothing: Uint8Array = new Uint8Array(0);

const plain: Omit<BodyCodec, "codec"> = {
  open: (body) => ({ message: body }),
  encodeResponse: (message) => message,
  error: () => nothing,
};

const emptyObject = Buffer.from("{}");

const binary: BodyCodec = { ...plain, codec: (of) => of };
/** As in go-micro's server, an empty body is an empty message. */
const json: BodyCodec = {
  ...plain,
  codec: (of) => jsonFormat.codecFor(of),
  open: (body) => ({ message: body.length === 0 ? emptyObject : body }),
};

/** Messages with a five-byte prefix, as in gRPC. */
function framed(form: BodyCodec): BodyCodec {
  return {
    ...form,
    open(body, maxElements) {
      if (body.length === 0) return form.open(body, maxElements);
      const length = new DataView(body.buffer, body.byteOffset, body.length);
      if (body.length < 5 || body[0] !== 0 || length.getUint32(1) !== body.length - 5) {
        throw new MicroError("invalid_argument", "the body is not one uncompressed frame of gRPC", {
          outcome: "not-executed",
        });
      }
      return form.open(body.subarray(5), maxElements);
    },
    encodeResponse(message, request) {
      const frame = Buffer.alloc(5 + message.length);
      frame.writeUInt32BE(message.length, 1);
      frame.set(form.encodeResponse(message, request), 5);
      return frame;
    },
  };
}

/** go-micro's table of codecs, which clients and servers share. */
const forms: Readonly<Record<string, BodyCodec>> = {
  "application/json": json,
  "application/protobuf": binary,
  "application/proto": binary,
  "application/octet-stream": binary,
  "application/json-rpc": jsonRpcForm,
  "application/proto-rpc": protoRpcForm,
  "application/grpc": framed(binary),
  "application/grpc+proto": framed(binary),
  "application/grpc+json": framed(json),
};

/**
 * The codec of a request without any `Micro-` line, by content type: the envelopes used before
 * go-micro 1.
 */
const envelopes: Readonly<Record<string, BodyCodec>> = {
  "application/json": jsonRpcForm,
  "application/json-rpc": jsonRpcForm,
  "application/protobuf": protoRpcForm,
  "application/proto-rpc": protoRpcForm,
  "application/octet-stream": protoRpcForm,
};

/**
 * Returns the codec of a content type, ignoring its parameters; undefined for one that go-micro
 * does not know.
 */
export function bodyCodec(contentType: string, enveloped = false): BodyCodec | undefined {
  const end = contentType.indexOf(";");
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  return enveloped ? envelopes[type] : forms[type];
}
