import { Buffer } from "node:buffer";

/**
 * Maximum number of header lines of a message: those that metadata may have, and as many again that
 * are left out of it.
 */
export const maxHeaderLines = 512;

/**
 * A property of the library's message that its type lacks: the message's bytes, of which the first
 * `hdr` are headers.
 */
interface MessageInternals {
  readonly _msg?: { readonly hdr?: number };
  readonly _rdata?: Uint8Array;
}

const lineFeed = 0x0a;

/** Headers longer than this are not read as one text, in bytes. */
const longestText = 1_024;

/** The headers of a received message as text, with the status line; undefined if they are long. */
export function headerText(message: object): string | undefined {
  const { _msg: sizes, _rdata: bytes } = message as MessageInternals;
  const end = sizes?.hdr ?? -1;
  if (bytes === undefined || end < 0 || end > longestText) return undefined;
  if (bytes instanceof Buffer) return bytes.toString("latin1", 0, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1");
}

/** The data of a message that has headers. The library would create a `Buffer`, which is slower. */
export function dataAfterHeaders(message: object): Uint8Array {
  const { _msg: sizes, _rdata: bytes } = message as Required<MessageInternals>;
  const { hdr = 0 } = sizes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset + hdr, bytes.length - hdr);
}

/**
 * Whether a message has too many header lines; the library needs time in the square of their number
 * to parse them.
 */
export function hasTooManyHeaderLines(message: object): boolean {
  const { _msg: sizes, _rdata: bytes } = message as MessageInternals;
  const end = sizes?.hdr ?? -1;
  if (bytes === undefined || end <= maxHeaderLines) return false;
  // The status line and the final empty line are additional.
  let left = maxHeaderLines + 2;
  for (
    let at = bytes.indexOf(lineFeed);
    at >= 0 && at < end;
    at = bytes.indexOf(lineFeed, at + 1)
  ) {
    if (--left < 0) return true;
  }
  return false;
}
