/**
 * What go-micro's peers send each other (its `transport.Message`), over HTTP and over NATS: header lines of which each
 * name has one, and a body.
 */
export interface GoMicroMessage {
  /** Values by name in lower case: HTTP changes the spelling of names on the way. */
  readonly header: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

/** Header lines as they are sent: names as go-micro spells them. */
export type OutgoingHeader = Map<string, string>;

/** Names of the protocol in go-micro's own spelling. */
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
  /** Ours, for streams: a server of go-micro's gives a stream up that has a timeout and whose requests have ended. */
  streamTimeout: "Micro-Timeout",
  contentType: "Content-Type",
  accept: "Accept",
  connection: "Connection",
  server: "Server",
} as const;

/** What our servers say they are: they repeat nothing of the request, and every stream has its end. */
export const ourServer = "micro-es";

/** What stands in {@link headerName.error} at the end of a stream. */
export const endOfStream = "EOS";

/** A line of a request; servers of go-micro send theirs with `X-` before the name as well. */
export function line(message: GoMicroMessage, name: string): string {
  const key = name.toLowerCase();
  return message.header.get(key) || message.header.get(`x-${key}`) || "";
}
