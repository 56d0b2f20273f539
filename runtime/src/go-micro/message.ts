/**
 * A message between go-micro peers (its `transport.Message`), over HTTP or NATS: header lines with
 * one line for each name, and a body.
 */
export interface GoMicroMessage {
  /** Values by name in lower case, because HTTP does not preserve the case of names. */
  readonly header: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/** Header lines as they are sent, with names in go-micro's spelling. */
export type OutgoingHeader = Map<string, string>;

/** Names of the protocol in go-micro's spelling. */
export const headerName = {
  service: "Micro-Service",
  method: "Micro-Method",
  endpoint: "Micro-Endpoint",
  id: "Micro-ID",
  stream: "Micro-Stream",
  error: "Micro-Error",
  topic: "Micro-Topic",
  protocol: "Micro-Protocol",
  target: "Micro-Target",
  timeout: "Timeout",
  /**
   * Specific to Micro-ES, for streams: a go-micro server cancels a stream that has a timeout once
   * its requests have ended.
   */
  streamTimeout: "Micro-Timeout",
  contentType: "Content-Type",
  accept: "Accept",
  connection: "Connection",
  server: "Server",
} as const;

/**
 * How Micro-ES servers identify themselves: they repeat nothing of the request, and every stream
 * has an explicit end.
 */
export const ourServer = "micro-es";

/** The value of {@link headerName.error} at the end of a stream. */
export const endOfStream = "EOS";

/** Returns a line of a request. go-micro servers also send theirs with an `X-` prefix. */
export function line(message: GoMicroMessage, name: string): string {
  const [value, other] = values(message, name);
  return value || other;
}

/** Returns the values of a line and of its `X-` variant; empty where they are absent. */
export function values({ header }: GoMicroMessage, name: string): readonly [string, string] {
  const key = name.toLowerCase();
  return [header.get(key) ?? "", header.get(`x-${key}`) ?? ""];
}

/**
 * Whether a line must not be repeated, because it states what is called and by which caller, or
 * where the body ends. A proxy may have used another value than the one that counts here.
 */
export function isSingleLine(name: string): boolean {
  return singleLines.has(name) || /^(?:x-)?micro-(?!trailer-)/.test(name);
}

const singleLines: ReadonlySet<string> = new Set([
  "authorization",
  "content-length",
  "content-type",
  "host",
  "origin",
  "sec-fetch-site",
  "transfer-encoding",
]);
