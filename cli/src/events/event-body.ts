import { type FileRegistry, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";

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

export function contentOf(
  { body, typeName, contentType }: EventBody,
  schema: FileRegistry | undefined,
): EventContent {
  const json = /json/.test(contentType);
  const message = schema?.getMessage(typeName);
  if (message !== undefined && !json) {
    return {
      message: toJson(message, fromBinary(message, body), { registry: schema as FileRegistry }),
    };
  }
  const text = Buffer.from(body).toString("utf8");
  if (Buffer.compare(Buffer.from(text), body) !== 0 || /\p{Cc}/u.test(text.replaceAll(/\s/g, ""))) {
    return { base64: Buffer.from(body).toString("base64") };
  }
  return { text };
}

/** An event's content in one line, or spread over several. */
export function contentText(content: EventContent, spread = false): string {
  if (!("message" in content)) return content.text ?? content.base64 ?? "";
  return JSON.stringify(content.message, null, spread ? 2 : undefined);
}
