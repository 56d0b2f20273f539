import { Metadata } from "../base/metadata.ts";
import { type HeaderLine, headerLines, metadataFrom } from "../transport/http-headers.ts";
import { errorLines } from "./error-headers.ts";
import { type GoMicroMessage, headerName, type OutgoingHeader, ourServer } from "./message.ts";

/** Lines of the protocol itself, in lower case. They are never metadata, in either direction. */
const reserved: ReadonlySet<string> = new Set([
  ...Object.values(headerName).flatMap((name) => [name.toLowerCase(), `x-${name.toLowerCase()}`]),
  ...errorLines,
  "user-agent",
  "local",
  "remote",
]);

/**
 * go-micro's messages have no trailers. They are sent in the last message, under names with this
 * prefix.
 */
const trailerPrefix = "micro-trailer-";

/**
 * Reads the metadata of a message.
 * @param echoed lines to skip because go-micro servers only repeat them from the request.
 */
export function readMetadata(
  message: GoMicroMessage,
  echoed?: ReadonlyMap<string, string>,
): Metadata {
  return metadataFrom(lines(message, (name) => !name.startsWith(trailerPrefix), echoed));
}

/** Reads the trailers of a message. */
export function readTrailers(message: GoMicroMessage): Metadata {
  const found = new Metadata();
  for (const [name, value] of message.header) {
    if (!name.startsWith(trailerPrefix)) continue;
    found.assign(metadataFrom([[name.slice(trailerPrefix.length), value]]));
  }
  return found;
}

/** Adds metadata to a header. Values of one name are joined, because a name has only one line. */
export function writeMetadata(
  header: OutgoingHeader,
  metadata: Metadata | undefined,
  prefix = "",
): void {
  for (const [name, value] of headerLines(metadata)) {
    if (reserved.has(name) || name.startsWith(trailerPrefix)) continue;
    const spelled = prefix + canonical(name);
    const before = header.get(spelled);
    header.set(spelled, before === undefined ? value : `${before}, ${value}`);
  }
}

/** Adds trailers to a header. */
export function writeTrailers(header: OutgoingHeader, trailers: Metadata | undefined): void {
  writeMetadata(header, trailers, "Micro-Trailer-");
}

function* lines(
  { header }: GoMicroMessage,
  wanted: (name: string) => boolean,
  echoed: ReadonlyMap<string, string> | undefined,
): Generator<HeaderLine> {
  const isOurs = header.get("server") === ourServer;
  for (const [name, value] of header) {
    if (reserved.has(name) || !wanted(name)) continue;
    if (!isOurs && echoed?.get(name) === value) continue;
    yield [name, value];
  }
}

/**
 * Spells a name as Go does: a Go program that asks for `Tenant-Id` finds `Tenant-Id` and
 * `tenant-id`.
 */
function canonical(name: string): string {
  return name.replace(
    /(^|-)([a-z])/g,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  );
}
