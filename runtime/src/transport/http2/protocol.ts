/** What a client sends first (RFC 9113 section 3.4). */
export const preface: Uint8Array = Uint8Array.from(
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"),
);

/** Length of the header of a frame, in bytes. */
export const frameHeaderBytes = 9;

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** The flags of frames; some types use the same bit. */
export const flag = {
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** Size of all windows and of the table of header fields before SETTINGS, in bytes. */
export const initialWindowBytes = 65_535;
export const initialTableBytes = 4_096;
/** The smallest and the initial largest payload of a frame, in bytes. */
export const minFrameBytes = 16_384;
export const largestFrameBytes = 0xff_ffff;
/** The largest window, in bytes. */
export const maxWindowBytes = 0x7fff_ffff;
/** The largest number of a stream. */
export const lastStreamId = 0x7fff_ffff;

/** Reads an unsigned big-endian 32-bit number. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

/** Reads a 31-bit number, whose first bit is reserved. */
export function readUint31(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at) & 0x7fff_ffff;
}
