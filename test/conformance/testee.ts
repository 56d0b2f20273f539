import { readSync, writeSync } from "node:fs";
import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  fromJsonString,
  type Message,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import type { AnyCodec } from "@micro-es/runtime";
import { CodecRegistry, loadDescriptors } from "@micro-es/runtime/codec";
import { protobufContentType } from "../../runtime/src/codec/content-type.ts";
import { exactJson } from "../../runtime/src/codec/exact-json.ts";

/** The output generated from the runner's .proto files for each run. */
export interface Generated {
  readonly request: DescMessage;
  readonly response: DescMessage;
  readonly codecs: readonly AnyCodec[];
  readonly files: readonly DescFile[];
}

/** The messages of conformance/conformance.proto, as far as they are looked at here. */
interface ConformanceRequest extends Message {
  messageType: string;
  testCategory: number;
  requestedOutputFormat: number;
  payload: { case: "protobufPayload"; value: Uint8Array } | { case: "jsonPayload"; value: string };
}

type Result =
  | { case: "protobufPayload"; value: Uint8Array }
  | { case: "jsonPayload" | "parseError" | "serializeError" | "skipped"; value: string };

const outputProtobuf = 1;
const outputJson = 2;
const ignoreUnknownJson = 3;

const encodeByReflection = process.env.CONFORMANCE_ENCODE === "reflect";
/** Proves that the tests fail when something is wrong. */
const plantError = process.env.CONFORMANCE_ENCODE === "planted error";

/**
 * The program that Google's runner tests: it takes a message in one format and gives it back in
 * another, until the runner closes the pipe. Binary goes through the generated codecs, or, with
 * `CONFORMANCE_ENCODE=reflect`, out through protobuf-es; JSON is protobuf-es' in both directions,
 * on the same objects.
 */
export async function serve(generated: Generated): Promise<void> {
  await loadDescriptors();
  const codecs = new CodecRegistry(generated.codecs);
  const registry = createRegistry(
    file_google_protobuf_any,
    file_google_protobuf_duration,
    file_google_protobuf_empty,
    file_google_protobuf_field_mask,
    file_google_protobuf_struct,
    file_google_protobuf_timestamp,
    file_google_protobuf_wrappers,
    ...generated.files,
  );
  for (;;) {
    const head = read(4);
    const bytes = head && read(new DataView(head.buffer).getUint32(0, true));
    if (bytes === undefined) return;
    // The frame around a test is protobuf-es', so that a codec under test cannot hide its own
    // error.
    const request = fromBinary(generated.request, bytes) as ConformanceRequest;
    const result = answer(request);
    write(
      toBinary(generated.response, {
        $typeName: generated.response.typeName,
        result,
      } as Message),
    );
  }

  function answer(request: ConformanceRequest): Result {
    if (request.messageType === "conformance.FailureSet") {
      return { case: "protobufPayload", value: new Uint8Array(0) };
    }
    const codec: AnyCodec = codecs.codec(request.messageType, protobufContentType);
    const schema: DescMessage = codec.schema!;
    const { payload } = request;
    let message: Message;
    try {
      if (payload.case === "protobufPayload")
        message = codec.decode(
          payload.value.map((byte) => (plantError && byte === 0x7f ? 0x7e : byte)),
        );
      else if (payload.case === "jsonPayload") {
        const lenient = request.testCategory === ignoreUnknownJson;
        message = fromJsonString(schema, exactJson(payload.value, schema, registry), {
          registry,
          ignoreUnknownFields: lenient,
        });
      } else return { case: "skipped", value: "this format is not tested" };
    } catch (error) {
      return { case: "parseError", value: String(error) };
    }
    try {
      switch (request.requestedOutputFormat) {
        case outputProtobuf:
          return {
            case: "protobufPayload",
            value: encodeByReflection ? toBinary(schema, message) : codec.encode(message),
          };
        case outputJson:
          return { case: "jsonPayload", value: toJsonString(schema, message, { registry }) };
        default:
          return {
            case: "skipped",
            value: `format ${request.requestedOutputFormat} is not tested`,
          };
      }
    } catch (error) {
      return { case: "serializeError", value: String(error) };
    }
  }
}

/** Reads so many bytes; undefined where the runner has closed the pipe. */
function read(size: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size);
  for (let got = 0; got < size; ) {
    const more = readSync(0, bytes, got, size - got, null);
    if (more === 0) return undefined;
    got += more;
  }
  return bytes;
}

function write(response: Uint8Array): void {
  const frame = Buffer.alloc(4 + response.length);
  frame.writeUInt32LE(response.length);
  frame.set(response, 4);
  for (let sent = 0; sent < frame.length; ) sent += writeSync(1, frame, sent);
}
