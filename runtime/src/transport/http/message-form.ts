import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Empty } from "@bufbuild/protobuf/wkt";
import type { AnyCodec } from "../../codec/codec.ts";
import { bytesOf, opaque, opaqueSchema } from "./opaque-message.ts";

/** How messages go through Connect: as bytes that it does not look into, or as messages that it writes as JSON. */
export type Encoding = "binary" | "json";

/** The messages of one codec as Connect has them. */
export interface MessageForm {
  readonly schema: DescMessage;
  /** What Connect has read, as the codec's message. @throws MicroError `invalid_argument` */
  received(message: Message): unknown;
  /** What Connect shall write, of bytes that the codec has made. */
  sent(bytes: Uint8Array): Message;
}

/** The form of a codec's messages in an encoding; undefined where JSON needs a descriptor and there is none. */
export function messageForm(codec: AnyCodec, encoding: Encoding): MessageForm | undefined {
  if (encoding === "binary") {
    return {
      schema: opaqueSchema,
      received: (message) => codec.decode(bytesOf(message as Empty)),
      sent: opaque,
    };
  }
  const { schema } = codec;
  if (schema === undefined) return undefined;
  return {
    schema,
    received: (message) => message,
    // A copy: the caller may change what he gave as soon as the call returns.
    sent: (bytes) => codec.decode(bytes),
  };
}
