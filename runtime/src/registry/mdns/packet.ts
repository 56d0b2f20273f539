import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  encode,
  type Packet,
  type RecordType,
} from "dns-packet";
import { type Question, recordTtlSeconds } from "./read-packet.ts";

/** The records of one instance: a go-micro node, or a name in the list of services. */
export interface Instance {
  /** The name that a PTR question asks for, such as `greeter.micro`. */
  readonly service: string;
  /** Such as `greeter-17.greeter.micro`. */
  readonly name: string;
  /** The machine that the SRV record points at. */
  readonly target: string;
  readonly port: number;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly text: readonly Buffer[];
}

const priority = 10;
const weight = 1;

/** Encodes a query for all instances of a service (`PTR`) or for one instance (`ANY`). */
export function encodeQuery(name: string, type: "PTR" | "ANY", id: number): Buffer {
  return encode({ type: "query", id, flags: 0, questions: [{ type: type as RecordType, name }] });
}

/**
 * Encodes the reply to a question. go-micro's client drops a reply that does not repeat the
 * question, and assigns the address to the instance whose SRV record it read last, so the order
 * matters: PTR, SRV, A, AAAA, TXT.
 */
export function encodeAnswer(instance: Instance, question: Question, id: number): Buffer {
  const pointer: Answer = {
    type: "PTR",
    name: instance.service,
    ttl: recordTtlSeconds,
    data: instance.name,
  };
  const withPointer = question.name === instance.service;
  const records = instanceRecords(instance, recordTtlSeconds);
  return encodeResponse(
    {
      questions: [{ type: question.type as RecordType, name: question.name }],
      answers: withPointer ? [pointer, ...records] : records,
    },
    id,
  );
}

/** Encodes an unsolicited announcement of an instance. */
export function encodeAnnouncement(instance: Instance): Buffer {
  return encodeResponse({ answers: instanceRecords(instance, recordTtlSeconds) }, 0);
}

/** Encodes a goodbye: the records of an instance with a time to live of 0. */
export function encodeGoodbye(instance: Instance): Buffer {
  return encodeResponse({ answers: instanceRecords(instance, 0) }, 0);
}

/**
 * Encodes a probe, in go-micro's form, that asks whether the name of an instance is already in use.
 */
export function encodeProbe(instance: Instance): Buffer {
  return encode({
    type: "query",
    id: 0,
    flags: 0,
    questions: [{ type: "PTR", name: instance.name }],
    authorities: [
      {
        type: "SRV",
        name: instance.name,
        ttl: recordTtlSeconds,
        data: { priority: 0, weight: 0, port: instance.port, target: instance.target },
      },
      { type: "TXT", name: instance.name, ttl: recordTtlSeconds, data: [...instance.text] },
    ],
  });
}

function encodeResponse(packet: Packet, id: number): Buffer {
  return encode({ type: "response", id, flags: AUTHORITATIVE_ANSWER, ...packet });
}

function instanceRecords(instance: Instance, ttl: number): Answer[] {
  const { name, target, port, ipv4, ipv6, text } = instance;
  const records: Answer[] = [{ type: "SRV", name, ttl, data: { priority, weight, port, target } }];
  if (ipv4 !== undefined) records.push({ type: "A", name: target, ttl, data: ipv4 });
  if (ipv6 !== undefined) records.push({ type: "AAAA", name: target, ttl, data: ipv6 });
  records.push({ type: "TXT", name, ttl, data: text.length === 0 ? [Buffer.alloc(0)] : [...text] });
  return records;
}
