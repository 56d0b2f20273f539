import { isMicroError, type MicroError } from "../../../base/error.ts";
import { Metadata } from "../../../base/metadata.ts";
import { type HeaderLine, metadataFrom } from "../../http-headers.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";

/** What the header or the end of a response says. */
export interface ResponseFields {
  /** Whether there is a status. */
  readonly hasStatus: boolean;
  /** Creates the error of a status other than success, of which the header may say more. */
  readonly failure: ((head: readonly HeaderLine[]) => MicroError) | undefined;
  /** All lines but the pseudo-header fields. */
  readonly lines: readonly HeaderLine[];
  /** The content type; empty if there is none. */
  readonly contentType: string;
  /** How messages are compressed, in lower case, if some may be. */
  readonly encoding: string | undefined;
  /** A copy of its own is for each response. Undefined if there is none. */
  readonly metadata: Metadata | undefined;
  /** The metadata of the trailers, if the header has them too. */
  readonly trailers?: Metadata | undefined;
  /** Why the metadata cannot be read. */
  readonly metadataError: MicroError | undefined;
}

/** The fields of a list, and how they were read. */
interface Note {
  readonly reader: object;
  readonly fields: ResponseFields;
}

/**
 * Reads a list of fields once, however often it repeats.
 *
 * @param reader what the result of `read` depends on, other than the lines
 */
export function readOnce(
  list: HeaderList,
  reader: object,
  read: (lines: readonly HeaderLine[]) => ResponseFields,
): ResponseFields {
  const known = list.note as Note | undefined;
  if (known?.reader === reader) return known.fields;
  const lines: HeaderLine[] = [];
  for (const { name, value } of list.fields) if (!name.startsWith(":")) lines.push([name, value]);
  const fields = read(lines);
  const note: Note = { reader, fields };
  list.note = note;
  return fields;
}

/**
 * Reads what all protocols have in common.
 *
 * @param encodingName the field that names how messages are compressed
 */
export function readLines(
  lines: readonly HeaderLine[],
  encodingName: string,
): Omit<ResponseFields, "hasStatus" | "failure"> {
  let contentType = "";
  let encoding: string | undefined;
  for (const [name, value] of lines) {
    if (name === "content-type") contentType = value;
    else if (name === encodingName && value.toLowerCase() !== "identity") {
      encoding = value.toLowerCase();
    }
  }
  return { lines, contentType, encoding, ...readMetadata(lines) };
}

/** Reads the metadata of lines, or why it cannot be read. */
export function readMetadata(
  lines: readonly HeaderLine[],
): Pick<ResponseFields, "metadata" | "metadataError"> {
  try {
    const all = metadataFrom(lines);
    return { metadata: all.isEmpty ? undefined : all, metadataError: undefined };
  } catch (reason) {
    if (!isMicroError(reason)) throw reason;
    return { metadata: undefined, metadataError: reason };
  }
}

/** Returns metadata for one response. */
export function copyOf(metadata: Metadata | undefined): Metadata | undefined {
  return metadata === undefined ? undefined : new Metadata(metadata);
}
