import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  type RecordType,
} from "dns-packet";

/** The records of one instance: go-micro's node, or a name in the list of services. */
export interface Instance {
  /** What a PTR question asks for, such as `greeter.micro`. */
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

/** A question, its name without the dot at the end. */
export interface Question {
  readonly name: string;
  /** Such as `PTR`; `UNKNOWN_<number>` for a type that is not known. */
  readonly type: string;
  /** Whether the querier asks for an answer to itself alone; then the answer carries the query's id. */
  readonly unicast: boolean;
}

/** An instance as a packet shows it: only what is complete. */
export interface SeenInstance {
  readonly name: string;
  readonly port: number;
  /** The IPv4 address, or else the IPv6 address, of its machine. */
  readonly host: string | undefined;
  /** The joined strings of the TXT record: a view into the packet. */
  readonly text: Buffer;
  /** False for a goodbye. */
  readonly alive: boolean;
}

/** A packet that was read. */
export type Incoming =
  | { readonly kind: "query"; readonly id: number; readonly questions: readonly Question[] }
  | {
      readonly kind: "response";
      readonly pointers: readonly string[];
      readonly seen: readonly SeenInstance[];
    };

/** As in go-micro. Only 0, the goodbye, means anything to either side. */
const recordTtlSeconds = 120;
const priority = 10;
const weight = 1;
/** Far more than any packet of go-micro or ours has; each record costs the reader time. */
const maxRecords = 512;
const headerBytes = 12;

/** A question for all instances of a service (`PTR`) or for one instance (`ANY`). */
export function encodeQuery(name: string, type: "PTR" | "ANY", id: number): Buffer {
  return encode({ type: "query", id, flags: 0, questions: [{ type: type as RecordType, name }] });
}

/**
 * The answer to a question. go-micro's client drops one that does not repeat the question, and gives the
 * address to the instance whose SRV record it read last, so the order counts: PTR, SRV, A, AAAA, TXT.
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

/** Tells everybody about an instance, without having been asked. */
export function encodeAnnouncement(instance: Instance): Buffer {
  return encodeResponse({ answers: instanceRecords(instance, recordTtlSeconds) }, 0);
}

/** Tells everybody that an instance is gone: its records with a time to live of 0. */
export function encodeGoodbye(instance: Instance): Buffer {
  return encodeResponse({ answers: instanceRecords(instance, 0) }, 0);
}

/** Asks, in go-micro's form, whether somebody has the name of an instance already. */
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

/** @throws Error for bytes that are no DNS packet. */
export function decodePacket(bytes: Buffer): Incoming {
  if (bytes.length < headerBytes) throw new RangeError("shorter than a DNS header");
  let records = 0;
  for (let at = 4; at < headerBytes; at += 2) records += bytes.readUInt16BE(at);
  if (records > maxRecords) throw new RangeError(`${records} records`);
  const packet = decode(bytes);
  // The library reads a TXT record past the end of the packet without a complaint.
  if (!(decode.bytes <= bytes.length)) throw new RangeError("ends inside a record");
  if (packet.type === "query") {
    const questions = (packet.questions ?? []).map(
      ({ name, type, class: klass }): Question => ({
        name,
        type,
        unicast: (klass as string) === "UNKNOWN_32769",
      }),
    );
    return { kind: "query", id: packet.id ?? 0, questions };
  }
  return readResponse([...(packet.answers ?? []), ...(packet.additionals ?? [])]);
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

function readResponse(records: readonly Answer[]): Incoming {
  const pointers: string[] = [];
  const hosts = new Map<string, string>();
  const texts = new Map<string, Buffer>();
  for (const record of records) {
    if (record.type === "PTR" && (record.ttl ?? 0) > 0) pointers.push(record.data);
    else if (record.type === "A") hosts.set(record.name, record.data);
    else if (record.type === "AAAA" && !hosts.has(record.name)) hosts.set(record.name, record.data);
    else if (record.type === "TXT") texts.set(record.name, joined(record.data));
  }
  const seen: SeenInstance[] = [];
  for (const record of records) {
    if (record.type !== "SRV") continue;
    const text = texts.get(record.name);
    if (text === undefined) continue;
    seen.push({
      name: record.name,
      port: record.data.port,
      host: hosts.get(record.data.target),
      text,
      alive: (record.ttl ?? 0) > 0,
    });
  }
  return { kind: "response", pointers, seen };
}

function joined(data: unknown): Buffer {
  const strings = Array.isArray(data) ? data : [data];
  return Buffer.concat(strings.filter((each) => Buffer.isBuffer(each)));
}
