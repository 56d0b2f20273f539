import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { type Answer, decode, encode, type Packet } from "dns-packet";
import {
  isResponseTo,
  type ResponseHeader,
  type ResponseRecords,
  readHeader,
  readRecords,
} from "../../drivers/dns/src/link/read-response.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { mutate } from "./mutation.ts";

/** The parser that is fuzzed; a test replaces it with broken versions, which must be detected. */
export interface DnsParser {
  readonly readHeader: (bytes: Buffer) => ResponseHeader;
  readonly readRecords: (bytes: Buffer) => ResponseRecords;
}

/** Which inputs are fed. */
export interface DnsFuzzOptions {
  readonly count: number;
  readonly seed: number;
  /** Number of the first input; with a count of 1 it repeats that one. Default 0. */
  readonly from?: number;
  readonly parser?: DnsParser;
}

/** The outcome of a run without a finding. */
export interface DnsFuzzCounts {
  /** Inputs that were refused as malformed. */
  readonly refused: number;
  /** Inputs that dns-packet read as well, with the same result. */
  readonly agreed: number;
}

/** An input that broke a promise. */
export class DnsFuzzFinding extends Error {
  readonly input: Uint8Array;
  readonly index: number;

  constructor(index: number, input: Uint8Array, cause: unknown) {
    super(`input ${index}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.index = index;
    this.input = input;
  }
}

/** The processor time that one input may take, in milliseconds: more is a hang. */
const hangMs = 500;
/** The longest name in a message, in characters, each of which may be an escaped dot. */
const longestName = 2 * 255;
const name = "_echo._tcp.shop.test";
const question = { name, type: "SRV" } as const;

/**
 * Feeds mutated responses to the parser. It must read them as dns-packet does, or throw a
 * RangeError.
 * @throws DnsFuzzFinding at the first input that does anything else, or takes long.
 */
export function fuzzDns(options: DnsFuzzOptions): DnsFuzzCounts {
  const { count, seed, from = 0, parser = { readHeader, readRecords } } = options;
  const samples = corpus();
  const { stackTraceLimit } = Error;
  // Most inputs end in an error, and its stack costs more than all the rest.
  if (count > 1) Error.stackTraceLimit = 0;
  let [refused, agreed] = [0, 0];
  try {
    for (let index = from; index < from + count; index++) {
      // Each input has chance of its own, so that it can be repeated alone.
      const random = seededRandom(seed * 1_000_003 + index);
      const input = Buffer.from(mutate(random, samples));
      const began = process.cpuUsage();
      try {
        const records = read(parser, input);
        if (records === undefined) refused++;
        else if (compare(records, input)) agreed++;
        const { user, system } = process.cpuUsage(began);
        assert.ok((user + system) / 1_000 < hangMs, `took ${(user + system) / 1_000} ms`);
      } catch (cause) {
        throw new DnsFuzzFinding(index, input, cause);
      }
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return { refused, agreed };
}

function read(parser: DnsParser, input: Buffer): ResponseRecords | undefined {
  try {
    const header = parser.readHeader(input);
    if (isResponseTo(header, header.id, question)) {
      assert.equal(input.readUInt16BE(4), 1, "a response without our question passed for one");
      assert.ok((input.readUInt16BE(2) & 0x8000) !== 0, "a query passed for a response");
    }
    const records = parser.readRecords(input);
    for (const each of Object.values(records).flat()) {
      assert.ok(each.name.length <= longestName, "a name that is too long");
    }
    return records;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Compares the first section with that of dns-packet; false where it does not read the input. */
function compare({ answers }: ResponseRecords, input: Buffer): boolean {
  let packet: Packet;
  try {
    packet = decode(input);
  } catch {
    return false;
  }
  // It takes the length of addresses and names for granted that a record declares otherwise.
  const all = [packet.answers, packet.authorities, packet.additionals].flatMap((it) => it ?? []);
  if (all.some((each) => (each as { class?: string }).class !== "IN" && each.type !== "OPT")) {
    return false;
  }
  const theirs = (packet.answers ?? []).flatMap((each) => textOf(each) ?? []);
  const ours = answers.flatMap((each) => {
    if (each.type === "SRV") return `SRV ${each.priority} ${each.weight} ${each.port}`;
    return each.type === "A" ? `A ${each.address}` : [];
  });
  assert.deepEqual(ours, theirs);
  return true;
}

/** A record of dns-packet in the form in which it is compared. */
function textOf(answer: Answer): string | undefined {
  const { class: recordClass, flush } = answer as { class?: string; flush?: boolean };
  if (recordClass !== "IN" || flush === true) return undefined;
  if (answer.type === "A") return `A ${answer.data}`;
  if (answer.type !== "SRV") return undefined;
  const { priority, weight, port } = answer.data;
  return `SRV ${priority} ${weight} ${port}`;
}

/** Responses as servers send them, and some that are built to cost time. */
function corpus(): readonly Uint8Array[] {
  const questions = [{ name, type: "SRV" as const, class: "IN" as const }];
  const targets = Array.from({ length: 40 }, (_, n) => `node-${n}.dc1.shop.test`);
  const srvs = targets.map((target, n): Answer => {
    return { type: "SRV", name, ttl: 1, data: { priority: 1, weight: n, port: 8_000 + n, target } };
  });
  const hosts = targets.map((target, n): Answer => {
    return { type: "A", name: target, ttl: 1, data: `10.0.0.${n}` };
  });
  const soa: Answer = {
    type: "SOA",
    name: "shop.test",
    ttl: 60,
    data: { mname: "ns.shop.test", rname: "admin.shop.test", serial: 1, minimum: 5 },
  };
  const response = (parts: Packet) => encode({ type: "response", id: 7, questions, ...parts });
  return [
    response({ answers: srvs, additionals: hosts }),
    response({ answers: srvs.slice(0, 2), additionals: hosts.slice(0, 2) }),
    response({
      answers: [
        { type: "CNAME", name, ttl: 1, data: "real.shop.test" },
        { type: "AAAA", name: "real.shop.test", ttl: 1, data: "fd00::1" },
        { type: "TXT", name, ttl: 1, data: ["consul-network-segment="] },
      ],
    }),
    response({ flags: 3, authorities: [soa] }),
    compressed(),
    pointers(),
  ];
}

/** A response whose names point at earlier ones, as those of servers do. */
function compressed(): Buffer {
  const head = encode({ type: "response", id: 7, questions: [{ name, type: "SRV" }] });
  head.writeUInt16BE(20, 6);
  const records = Array.from({ length: 20 }, (_, n) => {
    const bytes = Buffer.from("c00c0021000100000001000a0001000100001f90".slice(0, 32), "hex");
    bytes.writeUInt16BE(10, 10);
    return Buffer.concat([bytes, Buffer.from([0x1f, n, 1, 0x61, 0xc0, 0x17]).subarray(1)]);
  });
  return Buffer.concat([head, ...records]);
}

/** A response of nothing but pointers at pointers. */
function pointers(): Buffer {
  const bytes = Buffer.alloc(2_000);
  encode({ type: "response", id: 7, questions: [] }).copy(bytes);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(100, 6);
  for (let at = 14; at < bytes.length; at += 2) bytes.writeUInt16BE(0xc000 | (at - 2), at);
  return bytes;
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      from: { type: "string", default: "0" },
    },
  });
  const [count, seed, from] = [values.count, values.seed, values.from].map(Number);
  const began = performance.now();
  try {
    const { refused, agreed } = fuzzDns({ count: count!, seed: seed!, from: from! });
    const seconds = (performance.now() - began) / 1000;
    console.log(
      `${count} responses from ${from} with seed ${seed}: nothing found in ${seconds.toFixed(1)} s; ` +
        `${refused} were refused, and ${agreed} read as dns-packet does`,
    );
  } catch (finding) {
    if (!(finding instanceof DnsFuzzFinding)) throw finding;
    console.error(finding.cause);
    console.error(`repeat with --seed ${seed} --from ${finding.index} --count 1; the input is`);
    console.error(Buffer.from(finding.input).toString("hex"));
    process.exitCode = 1;
  }
}
