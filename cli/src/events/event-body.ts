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

/** What of an event says what it carries. */
export interface EventBody {
  readonly body: Uint8Array;
  readonly typeName: string;
  readonly contentType: string;
}

/** What an event carries: its message where the schema has it, else text, else bytes. */
export interface EventContent {
  readonly message?: JsonValue;
  readonly text?: string;
  readonly base64?: string;
}

/** Where the schema has the event's type, its message is told in JSON's words, in whatever format it came. */
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

/** The event's message; undefined for JSON that is not just this message, and so says more as it is. */
function decode(
  { body, typeName, contentType }: EventBody,
  desc: DescMessage,
  registry: FileRegistry,
): Message | undefined {
  const json = jsonFormatWith({ registry, ignoreUnknownFields: false });
  const codecs = new CodecRegistry([protobufCodec(desc)], [protobufFormat, json]);
  const isJson = codecs.format(contentType) === json;
  // Publishers of other languages have more names for the binary format than one.
  const { contentType: known } = isJson ? json : protobufFormat;
  try {
    return codecs.codec(typeName, known).decode(body);
  } catch (reason) {
    if (isJson) return undefined;
    throw reason;
  }
}

/** An event's content in one line, or spread over several. */
export function contentText(content: EventContent, spread = false): string {
  if (!("message" in content)) return content.text ?? content.base64 ?? "";
  return JSON.stringify(content.message, null, spread ? 2 : undefined);
}
