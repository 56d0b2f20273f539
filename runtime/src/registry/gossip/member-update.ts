import { type ByteReader, MalformedMessage } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";

/** The states of a member, in the order of their numbers on the wire. */
export const memberStates = ["alive", "suspect", "dead", "left"] as const;
export type MemberState = (typeof memberStates)[number];

/** Where a member receives datagrams and streams. */
export interface Endpoint {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/** What one member says about another, or about itself. */
export interface MemberUpdate extends Endpoint {
  readonly id: string;
  readonly state: MemberState;
  /** Raised by the member itself, alone, to refute what others say about it. */
  readonly incarnation: number;
  /** The version of the member's records that the sender has; 0 if it has none. */
  readonly version: number;
  /** The member that suspects or declares dead; the member itself otherwise. */
  readonly by: string;
}

const withBy = 0x10;
const ipv6 = 0x20;

/** The longest encoding of an update, in bytes. */
export const maxUpdateBytes: number = 1 + 8 + 4 + 4 + 16 + 2 + 8;

export function writeUpdate(writer: ByteWriter, update: MemberUpdate): void {
  const host = packIp(update.host);
  const other = update.by !== update.id;
  writer.u8(
    memberStates.indexOf(update.state) | (other ? withBy : 0) | (host.length === 16 ? ipv6 : 0),
  );
  writer.id(update.id).u32(update.incarnation).u32(update.version).bytes(host).u16(update.port);
  if (other) writer.id(update.by);
}

/** @throws MalformedMessage */
export function readUpdate(reader: ByteReader): MemberUpdate {
  const flags = reader.u8();
  const state = memberStates[flags & 0x0f];
  if (state === undefined || (flags & ~0x3f) !== 0) {
    throw new MalformedMessage(`unknown state ${flags}`);
  }
  const id = reader.id();
  const incarnation = reader.u32();
  const version = reader.u32();
  const host = unpackIp(reader.bytes((flags & ipv6) === 0 ? 4 : 16));
  const port = reader.u16();
  if (port === 0) throw new MalformedMessage("port 0");
  const by = (flags & withBy) === 0 ? id : reader.id();
  return { id, state, incarnation, version, host, port, by };
}

/** The bytes of an IP address: 4 or 16. @throws Error for text that is not one. */
export function packIp(host: string): Uint8Array {
  return host.includes(":") ? packIpv6(host) : packIpv4(host);
}

/** Written for speed: each update of each datagram has an address. */
function packIpv4(host: string): Uint8Array {
  const bytes = new Uint8Array(4);
  let at = 0;
  let value = -1;
  for (let index = 0; index < host.length; index++) {
    const code = host.charCodeAt(index);
    if (code >= 48 && code <= 57) value = Math.max(0, value) * 10 + code - 48;
    if (code !== 46 && index < host.length - 1) continue;
    if (value < 0 || value > 255 || at > 3) break;
    bytes[at++] = value;
    value = -1;
  }
  if (at !== 4) throw new Error(`${host} is not an IP address`);
  return bytes;
}

function packIpv6(host: string): Uint8Array {
  const [before = "", after] = (host.split("%")[0] ?? "").split("::");
  const head = words(before);
  const tail = words(after ?? "");
  const zeros = new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0);
  return Uint8Array.from([...head, ...zeros, ...tail].flatMap((word) => [word >> 8, word & 0xff]));
}

function words(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((part) => {
    if (!part.includes(".")) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

export function unpackIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const parts: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    parts.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  }
  return parts.join(":");
}
