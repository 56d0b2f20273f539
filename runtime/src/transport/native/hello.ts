import { MicroError } from "../../base/error.ts";
import type { TransportLimits } from "../transport.ts";
import { readUint16, readUint32 } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { frameType, initialSettings } from "./protocol.ts";

/** The settings that a side announces in HELLO. */
export interface Settings {
  readonly maxMessageBytes: number;
  readonly maxConcurrentCalls: number;
  readonly streamWindowBytes: number;
  /** How many credentials of the other side this side remembers; 0 if it takes none. */
  readonly credentials: number;
}

const names: readonly (keyof Settings)[] = [
  "maxMessageBytes",
  "maxConcurrentCalls",
  "streamWindowBytes",
  "credentials",
];

/**
 * Writes HELLO with the limits of this side.
 *
 * @param credentials how many credentials this side remembers; 0 is not announced.
 */
export function writeHello(
  writer: FrameWriter,
  limits: TransportLimits,
  credentials: number,
): void {
  const settings: Settings = { ...limits, credentials };
  writer.open(frameType.hello, 0, 0, 0, 0);
  for (const [index, name] of names.entries()) {
    if (settings[name] === 0) continue;
    writer.uint16(index + 1);
    writer.uint32(settings[name]);
  }
  writer.close();
}

/**
 * Reads the payload of HELLO.
 * @throws MicroError `invalid_argument` if it violates the protocol.
 */
export function readHello(bytes: Uint8Array, start: number, end: number): Settings {
  if ((end - start) % 6 !== 0) throw malformed("is cut off");
  const settings: Record<keyof Settings, number> = { ...initialSettings };
  const seen = new Set<number>();
  for (let at = start; at < end; at += 6) {
    const id = readUint16(bytes, at);
    const value = readUint32(bytes, at + 2);
    if (seen.has(id)) throw malformed(`has setting ${id} twice`);
    seen.add(id);
    const name = names[id - 1];
    if (name === undefined) continue;
    if (value === 0) throw malformed(`has 0 for ${name}`);
    settings[name] = Math.min(value, 0x7fff_ffff);
  }
  return settings;
}

function malformed(how: string): MicroError {
  return new MicroError("invalid_argument", `received a HELLO that ${how}`);
}
