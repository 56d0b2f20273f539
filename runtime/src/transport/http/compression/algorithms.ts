import type { Compression } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";

/** The supported compression algorithms, the preferred one first. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];

/**
 * Returns the first of the encodings that a caller accepts and this side knows.
 *
 * @param accepted names in lower case, separated by commas
 */
export function compressionFor(accepted: string | undefined): Compression | undefined {
  if (accepted === undefined || accepted === "identity") return undefined;
  for (const name of accepted.split(",")) {
    const compression = compressions.find((it) => it.name === name.trim());
    if (compression !== undefined) return compression;
  }
  return undefined;
}

/** Header lines that name codings: of HTTP, of Connect's streams, and of gRPC. */
const codingLines = [
  "content-encoding",
  "accept-encoding",
  "connect-content-encoding",
  "connect-accept-encoding",
  "grpc-encoding",
  "grpc-accept-encoding",
];

/**
 * Writes the names of codings in lower case, as Connect expects: they are case-insensitive (RFC
 * 9110, 8.4.1).
 */
export function lowerCodings(header: Headers): void {
  for (const line of codingLines) {
    const codings = header.get(line);
    if (codings !== null && /[A-Z]/.test(codings)) header.set(line, codings.toLowerCase());
  }
}
