import { SocketAddress } from "node:net";

/** A question; its name has no trailing dot. */
export interface Question {
  readonly name: string;
  /** Such as `PTR`; `TYPE<number>` for a type that this registry does not use. */
  readonly type: string;
  /** Whether the querier requests a unicast reply; the reply then carries the query's id. */
  readonly unicast: boolean;
}

/** An instance found in a packet; only complete ones are returned. */
export interface SeenInstance {
  readonly name: string;
  readonly port: number;
  /** The IPv4 address of its machine, or else the IPv6 address. */
  readonly host: string | undefined;
  /** The joined strings of the TXT record. */
  readonly text: Buffer;
  /** False for a goodbye. */
  readonly alive: boolean;
}

/** A decoded query. */
export interface IncomingQuery {
  readonly kind: "query";
  readonly id: number;
  readonly questions: readonly Question[];
  /**
   * Instances that the querier already knows and whose remaining lifetime is at least half of their
   * ttl (RFC 6762 section 7.1).
   */
  readonly known: ReadonlySet<string>;
}

/** A decoded packet. */
export type Incoming =
  | IncomingQuery
  | {
      readonly kind: "response";
      readonly pointers: readonly string[];
      readonly seen: readonly SeenInstance[];
    };

/** As in go-micro. Only 0, the goodbye, has a meaning for either side. */
export const recordTtlSeconds = 120;

/** Far more than any packet of go-micro or ours contains; each record costs the reader time. */
const maxRecords = 512;
/** A querier asks for a few services at once; each question may cost a reply. */
const maxQuestions = 64;
const headerBytes = 12;
/** RFC 1035 section 2.3.4, including the terminating zero byte. */
const longestName = 255;
/**
 * A name of 255 bytes has at most 127 labels; encoders use one jump per name, and few nested ones.
 */
const maxJumps = 16;
const pointerMark = 0xc0;
const responseFlag = 0x8000;
const unicastFlag = 0x8000;

const types: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [12, "PTR"],
  [16, "TXT"],
  [28, "AAAA"],
  [33, "SRV"],
  [255, "ANY"],
]);

/**
 * Decodes the questions and the known answers of a query, or the instances of a response. Its work
 * is proportional to the packet size: a name follows few compression pointers, all of them
 * backwards, and records of other types are skipped.
 * @throws Error for bytes that are not a DNS packet, and for packets with too many questions or
 * records.
 */
export function decodePacket(bytes: Buffer): Incoming {
  if (bytes.length < headerBytes) throw new RangeError("shorter than a DNS header");
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) =>
    bytes.readUInt16BE(at),
  ) as [number, number, number, number];
  const records = answers + authorities + additionals;
  if (questions > maxQuestions) throw new RangeError(`${questions} questions`);
  if (records > maxRecords) throw new RangeError(`${records} records`);
  const reader = new PacketReader(bytes);
  const asked: Question[] = [];
  for (let left = questions; left > 0; left--) asked.push(reader.question());
  if ((bytes.readUInt16BE(2) & responseFlag) === 0) {
    const known = new KnownAnswers();
    for (let at = 0; at < records; at++) reader.record(at < answers ? known : undefined);
    return { kind: "query", id: bytes.readUInt16BE(0), questions: asked, known: known.names };
  }
  const instances = new Instances();
  for (let at = 0; at < records; at++) {
    const isAuthority = at >= answers && at < answers + authorities;
    reader.record(isAuthority ? undefined : instances);
  }
  return { kind: "response", pointers: instances.pointers, seen: instances.complete() };
}

/** Receives the records of a section. */
interface RecordSink {
  pointer(name: string, ttl: number, target: string): void;
  service?(name: string, ttl: number, port: number, target: string): void;
  host?(name: string, address: string, isIPv4: boolean): void;
  text?(name: string, text: Buffer): void;
}

class KnownAnswers implements RecordSink {
  readonly names = new Set<string>();

  pointer(_: string, ttl: number, target: string): void {
    if (ttl >= recordTtlSeconds / 2) this.names.add(target);
  }
}

class Instances implements RecordSink {
  readonly pointers: string[] = [];
  readonly #services: { name: string; port: number; target: string; alive: boolean }[] = [];
  readonly #hosts = new Map<string, string>();
  readonly #texts = new Map<string, Buffer>();

  pointer(_: string, ttl: number, target: string): void {
    if (ttl > 0) this.pointers.push(target);
  }

  service(name: string, ttl: number, port: number, target: string): void {
    this.#services.push({ name, port, target, alive: ttl > 0 });
  }

  host(name: string, address: string, isIPv4: boolean): void {
    if (isIPv4 || !this.#hosts.has(name)) this.#hosts.set(name, address);
  }

  text(name: string, text: Buffer): void {
    this.#texts.set(name, text);
  }

  complete(): readonly SeenInstance[] {
    return this.#services.flatMap(({ name, port, target, alive }) => {
      const text = this.#texts.get(name);
      if (text === undefined) return [];
      return [{ name, port, host: this.#hosts.get(target), text, alive }];
    });
  }
}

class PacketReader {
  readonly #bytes: Buffer;
  /** Names by their offset; encoders point at the same ones repeatedly. */
  readonly #names = new Map<number, string>();
  #at = headerBytes;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  question(): Question {
    const name = this.#name();
    const type = this.#uint16();
    const unicast = (this.#uint16() & unicastFlag) !== 0;
    return { name, type: types.get(type) ?? `TYPE${type}`, unicast };
  }

  /** Reads one record; skips it if there is no sink or the registry does not use its type. */
  record(sink: RecordSink | undefined): void {
    const name = this.#name();
    const type = types.get(this.#uint16());
    this.#uint16();
    const ttl = this.#uint16() * 0x1_0000 + this.#uint16();
    const length = this.#uint16();
    const begin = this.#at;
    const end = begin + length;
    if (end > this.#bytes.length) throw new RangeError("ends inside a record");
    const data = this.#bytes.subarray(begin, end);
    if (sink !== undefined) {
      if (type === "PTR") sink.pointer(name, ttl, this.#name());
      else if (type === "SRV") {
        this.#at += 4;
        sink.service?.(name, ttl, this.#uint16(), this.#name());
      } else if (type === "A" && length === 4) sink.host?.(name, data.join("."), true);
      else if (type === "AAAA" && length === 16) sink.host?.(name, ipv6(data), false);
      else if (type === "TXT") sink.text?.(name, joinedStrings(data));
      if (this.#at > end) throw new RangeError("a record is longer than it says");
    }
    this.#at = end;
  }

  #uint16(): number {
    const value = this.#bytes.readUInt16BE(this.#at);
    this.#at += 2;
    return value;
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
        if (target >= at || ++jumps > maxJumps) throw new RangeError("a name that points on");
        const rest = this.#names.get(target);
        if (rest !== undefined) {
          length += rest.length;
          if (rest !== "") labels.push(rest);
          break;
        }
        at = target;
        continue;
      }
      length += size + 1;
      if (size > 63 || length > longestName) throw new RangeError("a name that is too long");
      if (at + 1 + size > this.#bytes.length) throw new RangeError("ends inside a name");
      labels.push(this.#bytes.toString("utf8", at + 1, at + 1 + size));
      at += size + 1;
    }
    this.#at = after;
    if (length > longestName) throw new RangeError("a name that is too long");
    const name = labels.join(".");
    this.#names.set(begin, name);
    return name;
  }
}

/** Joins character-strings, each preceded by its length. */
function joinedStrings(data: Buffer): Buffer {
  const joined = Buffer.allocUnsafe(data.length);
  let length = 0;
  for (let at = 0; at < data.length; ) {
    const size = data[at] ?? 0;
    if (at + 1 + size > data.length) throw new RangeError("a text that is longer than its record");
    length += data.copy(joined, length, at + 1, at + 1 + size);
    at += size + 1;
  }
  return joined.subarray(0, length);
}

function ipv6(data: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => data.readUInt16BE(2 * index).toString(16));
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}
