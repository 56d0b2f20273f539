import { MicroError } from "./error.ts";
import { type OptionKind, text, texts } from "./option-check.ts";

/** Where a server of a backend listens. */
export interface BackendAddress {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Host and port as in the option, IPv6 in brackets. */
  readonly text: string;
}

/** One or more addresses: a string, or a list of strings. Messages do not show them. */
export function backendAddresses(example: string): OptionKind {
  return {
    words: `addresses, for example ${JSON.stringify(example)}, or a list of them`,
    accepts: (value) =>
      text.accepts(value) || (texts.accepts(value) && (value as readonly string[]).length > 0),
    secret: true,
  };
}

/**
 * Parses addresses, `host` or `host:port` with IPv6 in brackets; several in one string are
 * separated by commas.
 *
 * @param refusal completes the message about one that is not valid, such as `is not an address of
 * Redis; use host:6379`.
 * @throws MicroError `invalid_argument` for an address that is not valid.
 */
export function readAddresses(
  given: string | readonly string[],
  defaultPort: number,
  refusal: string,
): readonly BackendAddress[] {
  const all = typeof given === "string" ? given.split(",") : given;
  return all.map((each) => readAddress(each.trim(), defaultPort, refusal));
}

/**
 * Parses one address, as {@link readAddresses}.
 * @param given what the message shows, without the text before an `@`.
 */
export function readAddress(
  address: string,
  defaultPort: number,
  refusal: string,
  given: string = address,
): BackendAddress {
  const parts = /^(?:\[([\da-f:.]+)\]|([^@/?#\s:[\]]+))(?::(\d{1,5}))?$/i.exec(address);
  const [, v6, name, digits = defaultPort] = parts ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) {
    throw invalid(`${JSON.stringify(withoutUser(given))} ${refusal}`);
  }
  return { host, port, text: `${v6 === undefined ? host : `[${host}]`}:${port}` };
}

/** @throws MicroError `invalid_argument` for a user without a password, and for the reverse. */
export function requireUserWithPassword(
  backend: string,
  { user, password }: { readonly user?: string; readonly password?: string },
): void {
  if ((user === undefined) === (password === undefined)) return;
  throw invalid(`${backend} takes user and password together; one of them is missing`);
}

/** The text before an `@` may contain a password. */
function withoutUser(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? address : `…${address.slice(at)}`;
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
