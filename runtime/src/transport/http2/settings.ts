import { ConnectionError, errorCode } from "./error-code.ts";
import {
  initialTableBytes,
  initialWindowBytes,
  largestFrameBytes,
  maxWindowBytes,
  minFrameBytes,
  readUint32,
} from "./protocol.ts";

/** The settings of one side of a connection (RFC 9113 section 6.5.2). */
export interface Settings {
  headerTableSize: number;
  enablePush: number;
  maxConcurrentStreams: number;
  initialWindowSize: number;
  maxFrameSize: number;
  maxHeaderListSize: number;
}

/** What applies before the first SETTINGS. */
export const initialSettings: Readonly<Settings> = {
  headerTableSize: initialTableBytes,
  enablePush: 1,
  maxConcurrentStreams: Number.POSITIVE_INFINITY,
  initialWindowSize: initialWindowBytes,
  maxFrameSize: minFrameBytes,
  maxHeaderListSize: Number.POSITIVE_INFINITY,
};

/** The settings in the order of their identifiers, which begin at 1. */
const names = [
  "headerTableSize",
  "enablePush",
  "maxConcurrentStreams",
  "initialWindowSize",
  "maxFrameSize",
  "maxHeaderListSize",
] as const;

/** Bytes of one setting in a frame. */
export const settingBytes = 6;
/** A frame with more settings is refused: there are six, and a few extensions. */
const maxSettings = 32;

/**
 * Reads the payload of a SETTINGS frame into `settings`. Ignores settings that are not known.
 *
 * @throws ConnectionError for a value that a setting cannot have
 */
export function readSettings(
  settings: Settings,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  if (end - start > maxSettings * settingBytes) {
    throw new ConnectionError(
      errorCode.enhanceYourCalm,
      `received SETTINGS with more than ${maxSettings} settings`,
    );
  }
  for (let at = start; at < end; at += settingBytes) {
    const name = names[((bytes[at]! << 8) | bytes[at + 1]!) - 1];
    const value = readUint32(bytes, at + 2);
    if (name === undefined) continue;
    check(name, value);
    settings[name] = value;
  }
}

/** Encodes the payload of a SETTINGS frame. */
export function settingsPayload(settings: Readonly<Partial<Settings>>): Uint8Array {
  const given = names.filter((name) => settings[name] !== undefined);
  const payload = Buffer.alloc(given.length * settingBytes);
  for (const [index, name] of given.entries()) {
    payload.writeUInt16BE(names.indexOf(name) + 1, index * settingBytes);
    payload.writeUInt32BE(settings[name]!, index * settingBytes + 2);
  }
  return payload;
}

function check(name: keyof Settings, value: number): void {
  if (name === "enablePush" && value > 1) throw invalid(errorCode.protocolError, name, value);
  if (name === "initialWindowSize" && value > maxWindowBytes) {
    throw invalid(errorCode.flowControlError, name, value);
  }
  if (name === "maxFrameSize" && (value < minFrameBytes || value > largestFrameBytes)) {
    throw invalid(errorCode.protocolError, name, value);
  }
}

function invalid(code: number, name: string, value: number): ConnectionError {
  return new ConnectionError(code, `received SETTINGS with the value ${value} for ${name}`);
}
