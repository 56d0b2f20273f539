import {
  type DescMessage,
  type FileRegistry,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import {
  CodecRegistry,
  jsonFormatWith,
  protobufCodec,
  protobufFormat,
} from "@micro-es/runtime/codec";
import { jsonText, lines, type Text } from "../text.ts";

/** The fields of an event that determine its content. */
export interface EventBody {
  readonly body: Uint8Array;
  readonly typeName: string;
  readonly contentType: string;
}

/** The content of an event: its message if the schema has it, else text, else bytes. */
export interface EventContent {
  readonly message?: JsonValue;
  readonly text?: string;
  readonly base64?: string;
}

/**
 * If the schema has the event's type, its message is shown as JSON, in whatever format it arrived.
 */
export function contentOf(event: EventBody, schema: FileRegistry | undefined): EventContent {
  const { body } = event;
  const desc = schema?.getMessage(event.typeName);
  if (schema !== undefined && desc !== undefined) {
    const message = decode(event, desc, schema);
    if (message !== undefined) return { message: toJson(desc, message, { registry: schema }) };
  }
  const text = Buffer.from(body).toString("utf8");
  if (Buffer.compare(Buffer.from(text), body) !== 0 || /\p{Cc}/u.test(text.replaceAll(/\s/g, ""))) {
    return { base64: Buffer.from(body).toString("base64") };
  }
  return { text };
}

/** The event's message; undefined for JSON with additional members, which would be lost. */
function decode(
  { body, typeName, contentType }: EventBody,
  desc: DescMessage,
  registry: FileRegistry,
): Message | undefined {
  const json = jsonFormatWith({ registry, ignoreUnknownFields: false });
  const codecs = new CodecRegistry([protobufCodec(desc)], [protobufFormat, json]);
  const isJson = codecs.format(contentType) === json;
  // Other languages have several names for the binary format.
  const { contentType: known } = isJson ? json : protobufFormat;
  try {
    return codecs.codec(typeName, known).decode(body);
  } catch (reason) {
    if (isJson) return undefined;
    throw reason;
  }
}

/** An event's content in one line, or over several. */
export function contentText(content: EventContent, spread = false): Text {
  if ("message" in content) return jsonText(content.message, spread);
  const shown = content.text ?? content.base64 ?? "";
  return spread ? lines(shown) : shown;
}
