import { messageOf } from "../base/error.ts";
import type { MetadataInit } from "../base/metadata.ts";
import { callback, checkOptions, part, required, text } from "../base/option-check.ts";
import type { Awaitable } from "../call/call.ts";
import { declareSchema } from "../call/schema-digests.ts";
import type { Codec } from "../codec/codec.ts";
import { essence } from "../codec/content-type.ts";
import { loadDescriptors } from "../codec/file-descriptors.ts";
import { decodeWithin, defaultMaxElements } from "../codec/message-elements.ts";
import { copyOf } from "../codec/wire/slab.ts";
import {
  type Broker,
  type EventPublisher,
  EventRejected,
  type IncomingEvent,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "./broker.ts";
import { checkTopic, EncodedEvent } from "./event.ts";

/** Options for publishing a typed event, in addition to the message. */
export interface TopicPublishOptions extends PublishOptions {
  readonly metadata?: MetadataInit;
  /** Identifies the event. Default: a new UUID. */
  readonly id?: string;
}

/** Definition of a topic; written by generated code. */
export interface TopicDefinition<M, I> {
  readonly name: string;
  readonly codec: Codec<M, I>;
  /** Returns the ordering key of an event, from the field that the schema names. */
  readonly key?: (message: I) => string;
  /** Distinguishes schemas of the event. */
  readonly digest?: string;
}

/**
 * A topic whose events are messages of one type. Generated files export one for each
 * `micro.v1.topic`.
 */
export interface Topic<M, I = M> extends TopicDefinition<M, I> {
  /**
   * Publishes a message.
   * @param publisher a broker, or an outbox within a transaction.
   * @throws MicroError as {@link Broker.publish} does; `invalid_argument` when the message does not
   * match its type.
   */
  publish(publisher: EventPublisher, message: I, options?: TopicPublishOptions): Promise<void>;
  /**
   * Handles each message. An event whose bytes do not decode never reaches the handler: it is
   * rejected, which is counted, and kept on the subscription's dead letter topic if there is one.
   */
  subscribe(
    broker: Broker,
    handler: (message: M, event: IncomingEvent) => Awaitable<void>,
    options?: SubscribeOptions,
  ): Promise<Subscription>;
}

/** Creates a topic from its definition. */
export function createTopic<M, I>(definition: TopicDefinition<M, I>): Topic<M, I> {
  checkOptions("createTopic", definition, {
    name: required(text),
    codec: required(part("a Codec", "BytesCodec", "encode", "decode")),
    key: callback,
    digest: text,
  });
  checkTopic(definition.name);
  const { name, codec, key, digest } = definition;
  return {
    ...definition,
    publish(publisher, message, options) {
      return publish(publisher, message, options);
    },
    subscribe(broker, handler, options) {
      if (digest !== undefined) declareSchema(broker, "subscribes", name, digest);
      const { maxMessageElements = defaultMaxElements } = options ?? {};
      return broker.subscribe(
        name,
        (event) => deliver(event, handler, maxMessageElements),
        options,
      );
    },
  };

  function publish(
    publisher: EventPublisher,
    message: I,
    options: TopicPublishOptions | undefined,
  ): Promise<void> {
    let event: EncodedEvent;
    try {
      const orderingKey = key?.(message);
      const bytes = codec.encode(message);
      event = new EncodedEvent(
        // The codec of opaque bytes returns the message itself.
        (bytes as unknown) === message ? copyOf(bytes, 0, bytes.length) : bytes,
        codec.contentType,
        codec.typeName,
        orderingKey,
        options?.metadata,
        options?.id,
      );
    } catch (reason) {
      return Promise.reject(reason);
    }
    return publisher.publish(name, event, options);
  }

  function deliver(
    event: IncomingEvent,
    handler: (message: M, event: IncomingEvent) => Awaitable<void>,
    maxElements: number,
  ): Awaitable<void> {
    if (event.typeName !== "" && event.typeName !== codec.typeName) {
      throw new EventRejected(
        `event ${event.id} on ${name} is a ${event.typeName}, and its subscriber takes ${codec.typeName}`,
      );
    }
    if (event.contentType === codec.contentType) {
      return handler(decode(codec, event, maxElements), event);
    }
    const format = essence(event.contentType);
    if (format === codec.contentType) return handler(decode(codec, event, maxElements), event);
    return inOtherFormat(codec, format).then(
      (other) => handler(decode(other, event, maxElements), event),
      (cause) => {
        throw undecodable(event, cause);
      },
    );
  }

  function decode(decoder: Codec<M, I>, event: IncomingEvent, maxElements: number): M {
    const { body } = event;
    try {
      return decodeWithin(decoder, body, 0, body.length, false, maxElements);
    } catch (cause) {
      throw undecodable(event, cause);
    }
  }

  function undecodable(event: IncomingEvent, cause: unknown): EventRejected {
    return new EventRejected(`event ${event.id} on ${name} does not decode: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Other names for the two formats of events. A Go publisher that uses go-micro's gRPC client sends
 * gRPC's content types, and the body without gRPC's frame.
 */
const protobufNames = new Set([
  "application/protobuf",
  "application/x-protobuf",
  "application/proto",
  "application/grpc",
  "application/grpc+proto",
]);
const jsonNames = new Set(["application/json", "application/grpc+json"]);

/**
 * The codec for an event in a format other than the one published here. Formats are loaded when the
 * first such event arrives.
 */
async function inOtherFormat<M, I>(codec: Codec<M, I>, format: string): Promise<Codec<M, I>> {
  await loadDescriptors();
  if (protobufNames.has(format)) {
    const { protobufFormat } = await import("../codec/protobuf.ts");
    return protobufFormat.codecFor(codec);
  }
  if (jsonNames.has(format)) {
    const { jsonFormat } = await import("../codec/json.ts");
    return jsonFormat.codecFor(codec);
  }
  throw new Error(`there is no format for ${format}`);
}
