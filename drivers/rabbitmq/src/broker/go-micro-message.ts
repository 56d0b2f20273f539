import { MicroError } from "@micro-es/runtime";
import {
  decodeGoMicroEvent,
  type EventRecord,
  encodeGoMicroHeader,
  tooLarge,
} from "@micro-es/runtime/driver";
import type { Message, Options } from "amqplib";
import { headersIn, idOf, ownHeaders, type PastHandlings, pastHeaders } from "./message.ts";

/*
 * An event of go-micro's broker: the headers of AMQP are those of its message, all of them strings,
 * and the body is the content.
 */

const persistent = 2;

/** The properties of an event for subscribers in Go. */
export function encodeGoMicroProperties(
  record: EventRecord,
  past?: PastHandlings,
): Options.Publish {
  const header = encodeGoMicroHeader(record);
  return {
    messageId: record.id,
    deliveryMode: persistent,
    timestamp: Math.floor(Date.now() / 1_000),
    headers: past === undefined ? header : { ...header, ...pastHeaders(past) },
  };
}

/**
 * Decodes an event, whoever published it.
 * @throws MicroError `invalid_argument` or `resource_exhausted` when it is not valid.
 */
export function decodeGoMicroMessage(
  topic: string,
  message: Message,
  maxEventBytes: number,
): EventRecord {
  const { content, properties } = message;
  if (content.length > maxEventBytes) throw tooLarge(topic, content.length, maxEventBytes);
  const all = Object.entries(headersIn(properties));
  const texts = all.filter(([name, value]) => {
    return typeof value === "string" && (isKnown(name) || !ownHeaders.has(name));
  });
  const id = idOf(properties);
  const { record } = decodeGoMicroEvent(Object.fromEntries(texts), () => content, topic, id);
  if (record.topic === topic) return record;
  throw new MicroError(
    "invalid_argument",
    `an event on ${record.topic} is in the queue of a subscription to ${topic}; use a queue for each topic`,
  );
}

/** Headers of go-micro that describe the event. */
function isKnown(name: string): boolean {
  return /^(?:Content-Type|Micro-(?:Topic|ID|Type|Key))$/i.test(name);
}
