import { declareSchema } from "../built-with.ts";
import type { Awaitable } from "../call.ts";
import type { Codec } from "../codec/codec.ts";
import { essence } from "../codec/content-type.ts";
import type { MetadataInit } from "../metadata.ts";
import {
  type Broker,
  EventRejected,
  type IncomingEvent,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "./broker.ts";

/** What is published with a typed event beside the message. */
export interface TopicPublishOptions extends PublishOptions {
  readonly metadata?: MetadataInit;
  /** Identifies the event. Default: a new UUID. */
  readonly id?: string;
}

/** What a topic is made of; generated code writes it. */
export interface TopicDefinition<M, I> {
  readonly name: string;
  readonly codec: Codec<M, I>;
  /** The ordering key of an event, from the field that the schema names. */
  readonly key?: (message: I) => string;
  /** Tells schemas of the event apart. */
  readonly digest?: string;
}

/** A topic whose events are messages of one type. Generated files export one for each `micro.v1.topic`. */
export interface Topic<M, I = M> extends TopicDefinition<M, I> {
  /**
   * Publishes a message.
   * @throws MicroError as {@link Broker.publish}; `invalid_argument` when the message does not fit its type.
   */
  publish(broker: Broker, message: I, options?: TopicPublishOptions): Promise<void>;
  /**
   * Handles each message. An event whose bytes are not such a message never reaches the handler: it is
   * rejected, which is counted and, where the subscription names a dead letter topic, kept there.
   */
  subscribe(
    broker: Broker,
    handler: (message: M, event: IncomingEvent) => Awaitable<void>,
    options?: SubscribeOptions,
  ): Promise<Subscription>;
}

/** Makes a topic out of its definition. */
export function createTopic<M, I>(definition: TopicDefinition<M, I>): Topic<M, I> {
  const { name, codec, key, digest } = definition;
  return {
    ...definition,
    publish(broker, message, options) {
      return publish(broker, message, options);
    },
    subscribe(broker, handler, options) {
      if (digest !== undefined) declareSchema(broker, "subscribes", name, digest);
      return broker.subscribe(name, (event) => deliver(event, handler), options);
    },
  };

  async function publish(
    broker: Broker,
    message: I,
    options: TopicPublishOptions = {},
  ): Promise<void> {
    const orderingKey = key?.(message);
    await broker.publish(
      name,
      {
        body: codec.encode(message),
        contentType: codec.contentType,
        typeName: codec.typeName,
        ...(orderingKey === undefined ? {} : { key: orderingKey }),
        ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
        ...(options.id === undefined ? {} : { id: options.id }),
      },
      options,
    );
  }

  function deliver(
    event: IncomingEvent,
    handler: (message: M, event: IncomingEvent) => Awaitable<void>,
  ): Awaitable<void> {
    if (event.typeName !== "" && event.typeName !== codec.typeName) {
      throw new EventRejected(
        `event ${event.id} on ${name} is a ${event.typeName}, and its subscriber takes ${codec.typeName}`,
      );
    }
    const format = essence(event.contentType);
    if (format === codec.contentType) return handler(decode(codec, event), event);
    return inOtherFormat(codec, format).then(
      (other) => handler(decode(other, event), event),
      (cause) => {
        throw undecodable(event, cause);
      },
    );
  }

  function decode(decoder: Codec<M, I>, event: IncomingEvent): M {
    try {
      return decoder.decode(event.body);
    } catch (cause) {
      throw undecodable(event, cause);
    }
  }

  function undecodable(event: IncomingEvent, cause: unknown): EventRejected {
    const reason = cause instanceof Error ? cause.message : cause;
    return new EventRejected(`event ${event.id} on ${name} does not decode: ${reason}`, { cause });
  }
}

/**
 * Other names of the two formats of events. A Go publisher on go-micro's gRPC client names gRPC's content types
 * and sends the body without gRPC's frame.
 */
const protobufNames = new Set([
  "application/protobuf",
  "application/x-protobuf",
  "application/proto",
  "application/grpc",
  "application/grpc+proto",
]);
const jsonNames = new Set(["application/json", "application/grpc+json"]);

/** The codec for an event that is in another format than this side publishes in. Formats load when one comes. */
async function inOtherFormat<M, I>(codec: Codec<M, I>, format: string): Promise<Codec<M, I>> {
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
