import { Buffer } from "node:buffer";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { MicroError } from "../base/error.ts";
import { cannotDecode } from "../codec/errors.ts";
import type { BodyCodec } from "./body-codec.ts";

/**
 * go-micro's `application/proto-rpc`: two length-prefixed blocks. The first is an envelope (1: the
 * endpoint, 2: a number, 3: the error of a response), the second the message.
 */
export const protoRpcForm: BodyCodec = {
  codec: (of) => of,
  open(body) {
    const envelope = block(body, 0);
    if (envelope.length > maxEnvelopeBytes) {
      throw new MicroError(
        "resource_exhausted",
        `an envelope of proto-rpc has ${envelope.length} bytes, over the limit of ${maxEnvelopeBytes}`,
        { outcome: "not-executed" },
      );
    }
    const message = block(body, 4 + envelope.length);
    try {
      return { ...readEnvelope(envelope), message };
    } catch (cause) {
      throw cannotDecode("bytes as an envelope of proto-rpc", cause);
    }
  },
  encodeResponse: (message, { endpoint = "", id = "0" }) =>
    blocks(writeEnvelope(endpoint, id, ""), message),
  error: (text, { endpoint = "", id = "0" }) =>
    blocks(writeEnvelope(endpoint, id, text), new Uint8Array(0)),
};

/**
 * The largest envelope, in bytes: the name of a method, a number and the text of an error, as much
 * as a header may have.
 */
const maxEnvelopeBytes = 32 * 1024;

function block(body: Uint8Array, at: number): Uint8Array {
  if (at + 4 <= body.length) {
    const length = new DataView(body.buffer, body.byteOffset, body.length).getUint32(at);
    if (at + 4 + length <= body.length) return body.subarray(at + 4, at + 4 + length);
  }
  throw new MicroError("invalid_argument", "the body ends within a block of proto-rpc", {
    outcome: "not-executed",
  });
}

function blocks(...parts: Uint8Array[]): Uint8Array {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

function readEnvelope(bytes: Uint8Array): { endpoint: string; id: string } {
  const reader = new BinaryReader(bytes);
  let endpoint = "";
  let id = "0";
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) endpoint = reader.string();
    else if (field === 2 && type === WireType.Bit64) id = String(reader.fixed64());
    else reader.skip(type, field);
  }
  return { endpoint, id };
}

function writeEnvelope(endpoint: string, id: string, error: string): Uint8Array {
  const writer = new BinaryWriter();
  if (endpoint !== "") writer.tag(1, WireType.LengthDelimited).string(endpoint);
  if (id !== "0") writer.tag(2, WireType.Bit64).fixed64(id);
  if (error !== "") writer.tag(3, WireType.LengthDelimited).string(error);
  return writer.finish();
}
