import { SocketAddress } from "node:net";
import type { Question } from "./question.ts";

/** The first part of a response, which is complete even if the rest is truncated. */
export interface ResponseHeader {
  readonly id: number;
  readonly isResponse: boolean;
  readonly isTruncated: boolean;
  /** `NOERROR` is 0, `SERVFAIL` 2, `NXDOMAIN` 3 (RFC 1035 section 4.1.1). */
  readonly rcode: number;
  /** Undefined unless there is exactly one, of class IN. */
  readonly question: { readonly name: string; readonly type: string } | undefined;
}

/** An IPv4 or IPv6 address of a name. */
export interface AddressRecord {
  readonly type: "A" | "AAAA";
  readonly name: string;
  readonly ttl: number;
  readonly address: string;
}

/** A place where a service is offered (RFC 2782). */
export interface ServiceRecord {
  readonly type: "SRV";
  readonly name: string;
  readonly ttl: number;
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** Empty if the service is decidedly not available. */
  readonly target: string;
}

/** Another name of a name. */
export interface AliasRecord {
  readonly type: "CNAME";
  readonly name: string;
  readonly ttl: number;
  readonly target: string;
}

/** The start of a zone, by which a negative response says how long it holds (RFC 2308). */
export interface ZoneRecord {
  readonly type: "SOA";
  readonly name: string;
  readonly ttl: number;
  readonly negativeTtl: number;
}

/** A record of a type that is used. Names are in lower case, ttls in seconds. */
export type DnsRecord = AddressRecord | ServiceRecord | AliasRecord | ZoneRecord;

/** The records of a response by section; records of other types and classes are left out. */
export interface ResponseRecords {
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

const types: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [5, "CNAME"],
  [6, "SOA"],
  [28, "AAAA"],
  [33, "SRV"],
]);
const classIn = 1;
const headerBytes = 12;
/** RFC 1035 section 2.3.4, including the terminating zero byte. */
const longestName = 255;
/** Servers use one pointer per name, and few nested ones. */
const maxJumps = 16;
const pointerMark = 0xc0;

/** Reads header and question. @throws RangeError if the bytes are not a DNS message. */
export function readHeader(bytes: Buffer): ResponseHeader {
  const flags = bytes.readUInt16BE(2);
  const count = bytes.readUInt16BE(4);
  const reader = new ResponseReader(bytes);
  return {
    id: bytes.readUInt16BE(0),
    // Of the opcode QUERY.
    isResponse: (flags & 0xf800) === 0x8000,
    isTruncated: (flags & 0x0200) !== 0,
    rcode: flags & 0x000f,
    question: count === 1 ? reader.question() : undefined,
  };
}

/** Whether a response is to this question, sent with this id. */
export function isResponseTo(header: ResponseHeader, id: number, question: Question): boolean {
  return (
    header.isResponse &&
    header.id === id &&
    header.question?.name === question.name &&
    header.question.type === question.type
  );
}

/** Reads all records. @throws RangeError if the bytes are not a complete DNS message. */
export function readRecords(bytes: Buffer): ResponseRecords {
  const [questions, ...counts] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const reader = new ResponseReader(bytes);
  for (let n = 0; n < (questions ?? 0); n++) reader.question();
  const [answers = [], authorities = [], additionals = []] = counts.map((count) => {
    const records: DnsRecord[] = [];
    for (let n = 0; n < count; n++) {
      const record = reader.record();
      if (record !== undefined) records.push(record);
    }
    return records;
  });
  return { answers, authorities, additionals };
}

class ResponseReader {
  readonly #bytes: Buffer;
  /** Names by their offset; servers point at the same ones repeatedly. */
  readonly #names = new Map<number, string>();
  #at = headerBytes;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  question(): ResponseHeader["question"] {
    const name = this.#name();
    const type = this.#uint16();
    const isIn = this.#uint16() === classIn;
    return isIn ? { name, type: types.get(type) ?? `TYPE${type}` } : undefined;
  }

  /** Reads one record; undefined if its type or class is not used. */
  record(): DnsRecord | undefined {
    const name = this.#name();
    const type = types.get(this.#uint16());
    const isIn = this.#uint16() === classIn;
    const ttl = this.#ttl();
    const length = this.#uint16();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("ends inside a record");
    const record = isIn ? this.#data(type, name, ttl, length) : undefined;
    if (record !== undefined && this.#at !== end) {
      throw new RangeError("a record is not as long as it says");
    }
    this.#at = end;
    return record;
  }

  #data(
    type: string | undefined,
    name: string,
    ttl: number,
    length: number,
  ): DnsRecord | undefined {
    switch (type) {
      case "A":
      case "AAAA": {
        if (length !== (type === "A" ? 4 : 16)) throw new RangeError("an address of no family");
        const data = this.#bytes.subarray(this.#at, this.#at + length);
        this.#at += length;
        return { type, name, ttl, address: type === "A" ? data.join(".") : ipv6(data) };
      }
      case "CNAME":
        return { type, name, ttl, target: this.#name() };
      case "SRV": {
        const [priority, weight, port] = [this.#uint16(), this.#uint16(), this.#uint16()];
        return { type, name, ttl, priority, weight, port, target: this.#name() };
      }
      case "SOA": {
        this.#name();
        this.#name();
        this.#at += 16;
        return { type, name, ttl, negativeTtl: Math.min(ttl, this.#ttl()) };
      }
      default:
        return undefined;
    }
  }

  #uint16(): number {
    const value = this.#bytes.readUInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  /** A time to live; one with the highest bit set counts as 0 (RFC 2181 section 8). */
  #ttl(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value > 0x7fff_ffff ? 0 : value;
  }

  /** Reads the name at the current position (RFC 1035 section 4.1.4). */
  #name(): string {
    const begin = this.#at;
    const labels: string[] = [];
    let at = begin;
    let after: number | undefined;
    let length = 1;
    let jumps = 0;
    for (;;) {
      const size = this.#bytes.readUInt8(at);
      if (size === 0) {
        after ??= at + 1;
        break;
      }
      if (size >= pointerMark) {
        const target = this.#bytes.readUInt16BE(at) & 0x3fff;
        after ??= at + 2;
        if (target < headerBytes || target >= at || ++jumps > maxJumps) {
          throw new RangeError("a name that points on");
        }
        const rest = this.#names.get(target);
        if (rest !== undefined) {
          length += rest.length + 1;
          if (rest !== "") labels.push(rest);
          break;
        }
        at = target;
        continue;
      }
      length += size + 1;
      if (size > 63 || length > longestName) throw new RangeError("a name that is too long");
      if (at + 1 + size > this.#bytes.length) throw new RangeError("ends inside a name");
      labels.push(label(this.#bytes, at + 1, at + 1 + size));
      at += size + 1;
    }
    if (length > longestName) throw new RangeError("a name that is too long");
    this.#at = after;
    const name = labels.join(".");
    this.#names.set(begin, name);
    return name;
  }
}

/** A label in lower case. A dot in it stays distinguishable from one between labels. */
function label(bytes: Buffer, begin: number, end: number): string {
  return bytes.toString("latin1", begin, end).replaceAll(".", "\\.").toLowerCase();
}

function ipv6(data: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(2 * index).toString(16));
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}
