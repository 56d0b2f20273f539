/** The error codes of HTTP/2 (RFC 9113 section 7). */
export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

const names: readonly string[] = Object.keys(errorCode).map((name) =>
  name.replace(/[A-Z]/g, "_$&").toUpperCase(),
);

/** The name of an error code, as RFC 9113 spells it. */
export function errorName(code: number): string {
  return names[code] ?? `error code ${code}`;
}

/** An error that ends the whole connection, and the code that GOAWAY gives for it. */
export class ConnectionError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
