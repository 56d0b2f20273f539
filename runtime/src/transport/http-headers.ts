import { isMicroError, type MicroError } from "../base/error.ts";
import { Metadata, maxMetadataEntries } from "../base/metadata.ts";

/**
 * Names that HTTP, gRPC, Connect or this transport use themselves. They are never metadata, in
 * either direction.
 */
const reserved: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "expect",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-message",
  "grpc-message-type",
  "grpc-status",
  "grpc-status-details-bin",
  "grpc-timeout",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "x-content-type",
  "x-grpc-web",
  "x-user-agent",
]);

/** The key that tells a Micro-ES caller the known outcome of a failed call. */
export const outcomeKey = "micro-outcome";

/** The key for the milliseconds to wait before a retry (the gRPC retry design, gRFC A6). */
export const pushbackKey = "grpc-retry-pushback-ms";

/** One line of a header: its name in lower case, and its value. */
export type HeaderLine = readonly [name: string, value: string];

/**
 * Reads metadata from header lines. Skips lines that belong to the protocols, and those that
 * metadata cannot hold. Values of `-bin` keys are base64, and several of them are separated by
 * commas.
 *
 * @throws MicroError `resource_exhausted` for more than {@link maxMetadataEntries}
 */
export function metadataFrom(lines: Iterable<HeaderLine>): Metadata {
  const metadata = new Metadata();
  for (const [line, value] of lines) {
    const name = line.toLowerCase();
    if (name.startsWith(":") || !isFree(name) || name === outcomeKey || name === pushbackKey)
      continue;
    try {
      if (name.endsWith("-bin")) {
        for (const part of value.split(",", maxMetadataEntries + 1)) {
          metadata.append(name, new Uint8Array(Buffer.from(part.trim(), "base64")));
        }
      } else {
        metadata.append(name, value);
      }
    } catch (error) {
      if (isMicroError(error) && error.code === "resource_exhausted") throw error;
      // An unrelated header, such as a cookie in UTF-8, is no reason to refuse a call. A credential
      // that cannot be read must not pass as none.
      if (name === "authorization") metadata.append(name, "");
    }
  }
  return metadata;
}

/** Writes metadata as header lines. Skips keys that the protocols use themselves. */
export function* headerLines(metadata: Metadata | undefined): IterableIterator<HeaderLine> {
  if (metadata === undefined || metadata.isEmpty) return;
  for (const [key, value] of metadata) {
    if (!isFree(key)) continue;
    yield [key, typeof value === "string" ? value : unpadded(value)];
  }
}

/** Returns the header lines of an error's outcome, if it is known, and of its push-back. */
export function errorLines({ outcome, retryAfterMs = 0 }: MicroError): HeaderLine[] {
  const lines: HeaderLine[] = [];
  if (outcome !== "unknown") lines.push([outcomeKey, outcome]);
  if (retryAfterMs > 0) lines.push([pushbackKey, String(Math.ceil(retryAfterMs))]);
  return lines;
}

/** Groups lines by name. */
export function groupLines(lines: Iterable<HeaderLine>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, value] of lines) {
    const values = groups.get(name);
    if (values === undefined) groups.set(name, [value]);
    else values.push(value);
  }
  return groups;
}

/** Adds lines to the header of a response, replacing those of the same names. */
export function setHeader(
  response: { setHeader(name: string, value: string | readonly string[]): unknown },
  lines: Iterable<HeaderLine>,
): void {
  for (const [name, values] of groupLines(lines)) {
    response.setHeader(name, values.length === 1 ? values[0]! : values);
  }
}

/** Yields header lines from Node's raw headers, which alternate names and values. */
export function* rawLines(raw: readonly string[]): IterableIterator<HeaderLine> {
  for (let at = 0; at + 1 < raw.length; at += 2) yield [raw[at]!, raw[at + 1]!];
}

function isFree(name: string): boolean {
  return !reserved.has(name);
}

function unpadded(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
  return text.replace(/=+$/, "");
}
