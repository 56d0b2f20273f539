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
