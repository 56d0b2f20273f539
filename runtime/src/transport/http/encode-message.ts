import type { ServerCall } from "../../call/call.ts";
import type { AnyCodec } from "../../codec/codec.ts";
import { invalidResponse, messageTooLarge } from "../call-errors.ts";
import { encodeResponse } from "../message-bytes.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import type { CallStream } from "./call-stream.ts";
import { framed, prefixBytes, writePrefix } from "./enveloped/message-frame.ts";

/** A message that is larger gets a buffer of its own. */
const scratchBytes = 4 * 1024;

/** Receives small messages, whose bytes are copied before the next one is encoded. */
const scratch = Buffer.allocUnsafeSlow(scratchBytes);

/** The codecs of a method's messages in JSON. */
export interface JsonCodecs {
  readonly input: AnyCodec;
  readonly output: AnyCodec;
}

/** The connection that a response is sent on. */
export interface ResponseConnection {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  /** Whether so many bytes would be sent at once, and copied. */
  copiesNow(stream: CallStream, bytes: number): boolean;
}

/** A call whose response is sent on a stream. */
export interface RespondingCall extends ServerCall {
  readonly stream: CallStream;
  readonly connection: ResponseConnection;
  /** Undefined if the messages are in protobuf's binary format. */
  readonly json: JsonCodecs | undefined;
}

/** A message with its prefix. */
export interface EncodedMessage {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/**
 * Encodes a message of a response. A small message is in a buffer that is used again, if its
 * connection copies it at once.
 *
 * @throws MicroError for a message that is not valid, or too large
 */
export function encodeMessage(call: RespondingCall, response: unknown): EncodedMessage {
  const { method, connection, json } = call;
  if (json !== undefined) return encodeAsJson(call, response, json);
  const { output } = method;
  let length: number;
  let bytes: Uint8Array = scratch;
  try {
    const end = output.encodeInto?.(response, scratch, prefixBytes) ?? Number.POSITIVE_INFINITY;
    if (end <= scratchBytes && connection.copiesNow(call.stream, end)) length = end - prefixBytes;
    else {
      const encoded = output.encode(response);
      length = encoded.length;
      bytes = new Uint8Array(prefixBytes + length);
      bytes.set(encoded, prefixBytes);
    }
  } catch (reason) {
    throw connection.dispatcher.invalidResponse?.(call, reason) ?? invalidResponse(method, reason);
  }
  const { maxMessageBytes } = connection.limits;
  if (length > maxMessageBytes) {
    throw messageTooLarge(`the response of ${method.name}`, length, maxMessageBytes, "executed");
  }
  writePrefix(bytes, 0, length);
  return { bytes, length: prefixBytes + length };
}

function encodeAsJson(call: RespondingCall, response: unknown, json: JsonCodecs): EncodedMessage {
  const { method, connection } = call;
  const { dispatcher, limits } = connection;
  const binary = encodeResponse(dispatcher, call, response, limits.maxMessageBytes);
  const bytes = framed(0, json.output.encode(method.output.decode(binary)));
  return { bytes, length: bytes.length };
}
