import type { DescMessage, JsonReadOptions, JsonWriteOptions, Registry } from "@bufbuild/protobuf";
import { isMicroError } from "../../base/error.ts";
import { exactJson } from "../../codec/exact-json.ts";
import { causedBy } from "./status.ts";

/**
 * Connect's options for reading and writing JSON. Its types omit the decoder, which it accepts
 * nevertheless.
 */
export type ExactJsonOptions = Partial<JsonReadOptions & JsonWriteOptions> & {
  readonly textDecoder: { decode(bytes?: Uint8Array): string };
};

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Returns options with which Connect reads the JSON of a message as {@link exactJson} does. Connect
 * parses text with `JSON.parse` and protobuf-es, which change some values. All JSON passes through
 * here, however it was sent: in a body, in a URL, compressed, or as one of several messages of a
 * stream.
 *
 * @param schema of the messages that are read
 * @param registry types that a `google.protobuf.Any` may hold
 * @param maxElements the most elements that a message may have
 */
export function exactJsonOptions(
  schema: DescMessage,
  registry: Registry | undefined,
  maxElements: number,
): ExactJsonOptions {
  return {
    ...(registry !== undefined && { registry }),
    textDecoder: { decode: (bytes) => exactText(bytes, schema, registry, maxElements) },
  };
}

function exactText(
  bytes: Uint8Array | undefined,
  schema: DescMessage,
  registry: Registry | undefined,
  maxElements: number,
): string {
  try {
    return exactJson(decoder.decode(bytes), schema, registry, maxElements);
  } catch (cause) {
    if (isMicroError(cause)) throw causedBy(cause);
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot decode JSON as ${schema.typeName}: ${why}`, { cause });
  }
}
