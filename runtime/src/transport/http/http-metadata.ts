import { Metadata } from "../../metadata.ts";

/** Names that HTTP, gRPC, Connect or this transport use themselves; they are no metadata in either direction. */
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

/** Tells a Micro-ES caller what is known of the effect of a call that failed. */
export const outcomeKey = "micro-outcome";

/** Milliseconds to wait before a retry (the gRPC retry design, gRFC A6). */
export const pushbackKey = "grpc-retry-pushback-ms";

/** One line of a header: its name in lower case, and its value. */
export type HeaderLine = readonly [name: string, value: string];

/**
 * The metadata of header lines. Lines of the protocols themselves, and those that metadata cannot hold, are left
 * out; values of `-bin` keys are in base64, several of them between commas.
 */
export function metadataFrom(lines: Iterable<HeaderLine>): Metadata {
  const metadata = new Metadata();
  for (const [line, value] of lines) {
    const name = line.toLowerCase();
    if (name.startsWith(":") || !isFree(name) || name === outcomeKey || name === pushbackKey)
      continue;
    try {
      if (name.endsWith("-bin")) {
        for (const part of value.split(",")) {
          metadata.append(name, new Uint8Array(Buffer.from(part.trim(), "base64")));
        }
      } else {
        metadata.append(name, value);
      }
    } catch {
      // A header of another world, as a cookie in UTF-8, is no reason to refuse a call.
    }
  }
  return metadata;
}

/** Metadata as header lines. Keys that the protocols use themselves are left out. */
export function* headerLines(metadata: Metadata | undefined): IterableIterator<HeaderLine> {
  if (metadata === undefined || metadata.isEmpty) return;
  for (const [key, value] of metadata) {
    if (!isFree(key)) continue;
    yield [key, typeof value === "string" ? value : unpadded(value)];
  }
}

/** Lines by name, those of one name together. */
export function groupLines(lines: Iterable<HeaderLine>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, value] of lines) {
    const values = groups.get(name);
    if (values === undefined) groups.set(name, [value]);
    else values.push(value);
  }
  return groups;
}

/** Adds lines to the header of an answer, in place of those of the same names. */
export function setHeader(
  response: { setHeader(name: string, value: string | readonly string[]): unknown },
  lines: Iterable<HeaderLine>,
): void {
  for (const [name, values] of groupLines(lines)) {
    response.setHeader(name, values.length === 1 ? values[0]! : values);
  }
}

/** The lines of a header as Node has them raw: names and values in turn. */
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
