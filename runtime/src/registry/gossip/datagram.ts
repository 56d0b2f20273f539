import { ByteReader, MalformedMessage } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { type Endpoint, type MemberUpdate, packIp, readUpdate, unpackIp } from "./member-update.ts";

/** The parts of a datagram, by the first byte of each. */
const kinds = { ping: 1, ack: 2, probe: 3, nack: 4, update: 5 } as const;

/** A part of a datagram: a step of a probe, or an update about a member. */
export type DatagramPart =
  | { readonly kind: "ping" | "ack" | "nack"; readonly probe: number; readonly view: number }
  /** Asks the receiver to ping a third member. */
  | { readonly kind: "probe"; readonly probe: number; readonly target: Target }
  | { readonly kind: "update"; readonly update: MemberUpdate };

/** A member to send to. */
export interface Target extends Endpoint {
  readonly id: string;
}

/** @param view the sender's digest of what it knows. */
export function writePing(
  writer: ByteWriter,
  kind: "ping" | "ack" | "nack",
  probe: number,
  view: number,
): void {
  writer.u8(kinds[kind]).u32(probe).u32(view);
}

export function writeProbe(writer: ByteWriter, probe: number, target: Target): void {
  const host = packIp(target.host);
  writer.u8(kinds.probe).u32(probe).id(target.id);
  writer.u8(host.length).bytes(host).u16(target.port);
}

/** Marks the update that follows. */
export function writeUpdateMark(writer: ByteWriter): void {
  writer.u8(kinds.update);
}

/**
 * Reads the parts of a datagram. An unknown part ends it, because its length is unknown; the
 * parts before it are used.
 * @throws MalformedMessage
 */
export function readDatagram(bytes: Uint8Array): readonly DatagramPart[] {
  const reader = new ByteReader(bytes);
  const parts: DatagramPart[] = [];
  while (reader.left > 0) {
    const kind = reader.u8();
    if (kind === kinds.update) parts.push({ kind: "update", update: readUpdate(reader) });
    else if (kind === kinds.ping) parts.push(readPing("ping", reader));
    else if (kind === kinds.ack) parts.push(readPing("ack", reader));
    else if (kind === kinds.nack) parts.push(readPing("nack", reader));
    else if (kind === kinds.probe) parts.push(readProbe(reader));
    else break;
  }
  return parts;
}

function readPing(kind: "ping" | "ack" | "nack", reader: ByteReader): DatagramPart {
  return { kind, probe: reader.u32(), view: reader.u32() };
}

function readProbe(reader: ByteReader): DatagramPart {
  const probe = reader.u32();
  const id = reader.id();
  const length = reader.u8();
  if (length !== 4 && length !== 16) throw new MalformedMessage(`an address of ${length} bytes`);
  const host = unpackIp(reader.bytes(length));
  const port = reader.u16();
  if (port === 0) throw new MalformedMessage("port 0");
  return { kind: "probe", probe, target: { id, host, port } };
}
