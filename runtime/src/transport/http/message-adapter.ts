import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Empty } from "@bufbuild/protobuf/wkt";
import type { AnyCodec } from "../../codec/codec.ts";
import { decodeWithin } from "../../codec/message-elements.ts";
import { bytesOf, contentBytes, opaque, opaqueSchema } from "./opaque-message.ts";

/**
 * How messages pass through Connect: as bytes that it does not inspect, or as messages that it
 * writes as JSON.
 */
export type Encoding = "binary" | "json";

/** Converts the messages of one codec to and from those of Connect. */
export interface MessageAdapter {
  readonly schema: DescMessage;
  /**
   * Converts a message that Connect has read to the codec's message.
   * @throws MicroError `invalid_argument`
   */
  received(message: Message): unknown;
  /**
   * Returns the size in bytes of a message that Connect has read; infinite if it would have to be
   * computed.
   */
  sizeOf(message: Message): number;
  /** Converts bytes that the codec has encoded to a message for Connect to write. */
  sent(bytes: Uint8Array): Message;
}

/**
 * Returns the adapter for a codec's messages in an encoding; undefined if JSON requires a
 * descriptor and there is none.
 *
 * @param maxElements the most elements that a received message may have
 */
export function messageAdapter(
  codec: AnyCodec,
  encoding: Encoding,
  maxElements: number,
): MessageAdapter | undefined {
  if (encoding === "binary") {
    return {
      schema: opaqueSchema,
      received(message) {
        const bytes = bytesOf(message as Empty);
        return decodeWithin(codec, bytes, 0, bytes.length, false, maxElements);
      },
      sizeOf: (message) => contentBytes(message as Empty),
      sent: opaque,
    };
  }
  const { schema } = codec;
  if (schema === undefined) return undefined;
  return {
    schema,
    received: (message) => message,
    sizeOf: () => Number.POSITIVE_INFINITY,
    // A copy: the caller may modify its message as soon as the call returns.
    sent: (bytes) => codec.decode(bytes),
  };
}
