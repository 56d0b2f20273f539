import { asMicroError, type Code, MicroError, type Outcome } from "@micro-es/runtime";

/** The reply codes of AMQP that a server closes a channel or a connection with. */
const known: Readonly<Record<number, readonly [code: Code, hint: string]>> = {
  311: ["resource_exhausted", "the message is too large"],
  320: ["unavailable", "the server closed the connection"],
  402: ["invalid_argument", "the virtual host is not valid"],
  403: ["permission_denied", "the user has no permission for it"],
  404: ["not_found", "it does not exist"],
  405: ["failed_precondition", "another connection owns it"],
  406: ["failed_precondition", "it exists with other properties, or a limit was exceeded"],
  504: ["unavailable", "the channel failed"],
  506: ["resource_exhausted", "the server is out of resources"],
  530: ["permission_denied", "it is not allowed"],
  541: ["unavailable", "the server failed; a queue without a leader may be the cause"],
};

/** An error of the client's library. */
interface LibraryError extends Error {
  /** Node's code of a failed connection, or AMQP's reply code. */
  readonly code?: string | number;
}

/** Converts an error of the library into a MicroError that names the attempted operation. */
export function rabbitMqFailure(
  error: unknown,
  what: string,
  outcome: Outcome = "not-executed",
): MicroError {
  if (error instanceof MicroError) return error;
  const { code, message } = error as LibraryError;
  const handshake = handshakeFailure(message);
  const [kind, hint] = handshake ?? known[Number(code)] ?? (["unavailable", ""] as const);
  const said = textOf(message);
  const why = hint === "" ? said : `${hint} (${said})`;
  return new MicroError(kind, `cannot ${what}: ${why}`, { cause: error, outcome });
}

/** The code of the reply that the server closed a channel with. */
export function replyCodeOf(error: unknown): number | undefined {
  const { code } = error as LibraryError;
  return typeof code === "number" ? code : undefined;
}

/** Whether connecting cannot succeed later either, unless a configuration is changed. */
export function isRefused(error: MicroError): boolean {
  const { code } = error;
  if (code === "unauthenticated" || code === "permission_denied" || code === "not_found") {
    return true;
  }
  const { cause } = error as { readonly cause?: LibraryError };
  return /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(String(cause?.code ?? ""));
}

/** Errors of the handshake have no code in the library. */
function handshakeFailure(message: string): readonly [Code, string] | undefined {
  if (/ACCESS[_-]REFUSED|\b403\b/.test(message) && /[Hh]andshake/.test(message)) {
    return ["unauthenticated", "the server refuses user or password"];
  }
  if (/Expected ConnectionOpenOk/.test(message)) {
    // The library does not say which.
    return ["permission_denied", "the virtual host does not exist, or the user may not use it"];
  }
  if (/closed abruptly/.test(message)) return ["unavailable", "the server closed the connection"];
  return undefined;
}

/** One short line of what the library says. */
function textOf(message: string): string {
  return String(message)
    .replace(/[^\x20-\x7e]+/g, " ")
    .slice(0, 300);
}

export function unavailable(
  message: string,
  outcome: Outcome = "not-executed",
  cause?: unknown,
): MicroError {
  return new MicroError("unavailable", message, { outcome, cause });
}

/** Names the attempted operation in a failure of the connection. */
export function whileDoing(error: unknown, what: string): MicroError {
  const failure = asMicroError(error, "unavailable");
  if (failure.message.startsWith("cannot ")) return failure;
  const { code, outcome } = failure;
  return new MicroError(code, `cannot ${what}: ${failure.message}`, { outcome, cause: error });
}
