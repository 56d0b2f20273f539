import { MicroError } from "./error.ts";
import { decoded, isSecretName, withoutCredentials } from "./redact.ts";
import { nearest } from "./suggest.ts";
import type { TextValue } from "./text-value.ts";

/**
 * The URL of a backend, such as `nats://ada:secret@a:4222,b:4222?fleet=shop`, `file:data/store` or
 * `mdns:`. Unlike the platform's `URL` it supports several hosts with ports, relative paths and
 * URLs without a host, and never shows its credentials: `toString`, `toJSON` and `console.log` omit
 * them.
 */
export class BackendUrl {
  /** In lower case, without its colon. */
  readonly scheme: string;
  /** `host` or `host:port`, IPv6 in brackets; empty if the URL names none. */
  readonly hosts: readonly string[];
  /** Decoded. Also holds a lone token before the `@`. */
  readonly username: string | undefined;
  /** Decoded. */
  readonly password: string | undefined;
  /** The text between hosts and parameters, decoded; empty if there is none. */
  readonly path: string;
  /** Decoded, by name. */
  readonly parameters: ReadonlyMap<string, string>;

  private constructor(parts: UrlParts) {
    this.scheme = parts.scheme;
    this.hosts = parts.hosts;
    this.username = parts.username;
    this.password = parts.password;
    this.path = parts.path;
    this.parameters = parts.parameters;
    Object.defineProperty(this, Symbol.for("nodejs.util.inspect.custom"), {
      value: () => this.toString(),
    });
  }

  /** Parses a URL, or a lone scheme such as `mdns`; undefined for anything else. */
  static parse(text: string): BackendUrl | undefined {
    const parts = parse(text.trim());
    return parts === undefined ? undefined : new BackendUrl(parts);
  }

  /** The URL without its credentials and the values of secret parameters. */
  toString(): string {
    const isAnonymous = this.username === undefined && this.password === undefined;
    const user = isAnonymous ? "" : "…@";
    const slashes = !isAnonymous || this.hosts.length > 0 ? "//" : "";
    const parameters = [...this.parameters].map(
      ([name, value]) => `${name}=${isSecretName(name) ? "…" : value}`,
    );
    const query = parameters.length === 0 ? "" : `?${parameters.join("&")}`;
    const place = `${slashes}${user}${this.hosts.join(",")}${this.path}`;
    return withoutCredentials(`${this.scheme}:${place}${query}`);
  }

  toJSON(): string {
    return this.toString();
  }

  /** Whether both URLs are equal, credentials included; the order of parameters does not matter. */
  equals(other: BackendUrl): boolean {
    return identity(this) === identity(other);
  }
}

interface UrlParts {
  readonly scheme: string;
  readonly hosts: readonly string[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly path: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const host = /^(?:[^\s:@[\]/]+|\[[\da-f:.]+\])(?::(\d{1,5}))?$/i;

function parse(text: string): UrlParts | undefined {
  const [, name, rest = ""] = /^([a-z][a-z\d+.-]*)(?::(.*))?$/is.exec(text) ?? [];
  if (name === undefined) return undefined;
  const scheme = name.toLowerCase();
  const [, before = "", query] = /^([^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  const parameters = new Map(new URLSearchParams(query));
  if ([...new URLSearchParams(query)].length > parameters.size) return undefined;
  const nobody = { username: undefined, password: undefined };
  if (!before.startsWith("//")) return { scheme, hosts: [], ...nobody, path: before, parameters };
  const [, authority = "", path = ""] = /^\/\/([^/]*)(.*)$/s.exec(before) ?? [];
  // After an `@` or a `/` in a password that is not percent-encoded, the rest would pass for a
  // path.
  if (path.includes("@") || query?.includes("@")) return undefined;
  const hosts: string[] = [];
  const users = new Set<string>();
  for (const one of authority === "" ? [] : authority.split(",")) {
    const at = one.lastIndexOf("@");
    const named = one.slice(at + 1).trim();
    const port = host.exec(named)?.[1];
    if (!host.test(named) || Number(port ?? 0) > 65_535) return undefined;
    hosts.push(named);
    if (at > 0) users.add(one.slice(0, at));
  }
  // One connection has one identity.
  if (users.size > 1) return undefined;
  const [user = ""] = users;
  const [, username = "", password] = /^([^:]*)(?::(.*))?$/s.exec(user) ?? [];
  return {
    scheme,
    hosts,
    username: username === "" ? undefined : decoded(username),
    password: password === undefined ? undefined : decoded(password),
    path: decoded(path === "/" ? "" : path),
    parameters,
  };
}

function identity(url: BackendUrl): string {
  const { scheme, hosts, username, password, path } = url;
  const parameters = [...url.parameters].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([scheme, hosts, username, password, path, parameters]);
}

/** Readers for the parameters of a URL, by name. */
export type ParameterReaders<T> = { readonly [Name in keyof T]: TextValue<T[Name]> };

/**
 * The parameters that the URL sets.
 * @throws MicroError `invalid_argument` for an unknown parameter, listing the known ones, and for a
 * value that is not allowed.
 */
export function readParameters<T extends object>(
  url: BackendUrl,
  readers: ParameterReaders<T>,
): Partial<T> {
  const names = Object.keys(readers);
  const values: Record<string, unknown> = {};
  for (const [name, text] of url.parameters) {
    if (!Object.hasOwn(readers, name)) {
      const meant = nearest(name, names);
      const known = names.length === 0 ? "no parameters" : names.join(", ");
      const hint = meant === undefined ? "; it" : `; did you mean ${meant}? It`;
      throw invalid(`${url.scheme}: has no parameter ${name}${hint} takes ${known}`);
    }
    const reader: TextValue<unknown> = readers[name as keyof T];
    const value = reader.read(text);
    if (value === undefined) {
      const shown = isSecretName(name) ? "…" : JSON.stringify(text.slice(0, 200));
      const allowed = reader.values.replaceAll("`", "");
      throw invalid(`the parameter ${name}=${shown} is not allowed; it takes ${allowed}`);
    }
    values[name] = value;
  }
  return values as Partial<T>;
}

/** @throws MicroError `invalid_argument` for a URL with hosts, credentials or a path. */
export function requireBareUrl(url: BackendUrl): void {
  if (url.hosts.length > 0 || url.username !== undefined || url.path !== "") {
    throw invalid(`${url.scheme}: takes no host and no path, only parameters`);
  }
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
