import { readFileSync } from "node:fs";
import { MicroError } from "@micro-es/runtime";
import type { BackendTlsOptions } from "@micro-es/runtime/driver";
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
} from "nats";

/** TLS options for NATS servers; certificates and keys are PEM. */
export type NatsTlsOptions = BackendTlsOptions;

/** The NATS servers, and how to authenticate to them. */
export interface NatsOptions {
  /**
   * Addresses of servers of one cluster, such as `nats://host:4222`; several in one string are
   * separated by commas. They may contain credentials, `nats://user:password@host` or
   * `nats://token@host`, identical in each, and `tls://host` requires TLS. Default
   * `nats://127.0.0.1:4222`.
   */
  readonly servers?: string | readonly string[];
  /** The connection's name in the servers' lists. */
  readonly name?: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Path of a `.creds` file. It is read again at each connection, so that it can be renewed. */
  readonly credentials?: string;
  /** Seed of an nkey, `SU…`. */
  readonly nkey?: string;
  /**
   * TLS with these options; `true` uses the system's authorities. A server that requires TLS gets
   * it anyway.
   */
  readonly tls?: NatsTlsOptions | true;
  /** Timeout of connecting, and of a JetStream response, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for servers that are not up yet, in milliseconds; connecting is
   * retried with backoff. Afterwards, operations that need the connection fail immediately while
   * there is none. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

const defaultServers: readonly string[] = ["nats://127.0.0.1:4222"];

/** The default time that the first use waits for servers, in milliseconds. */
export const defaultStartTimeoutMs = 30_000;

/** The default timeout of connecting and of responses, in milliseconds. */
export const defaultNatsTimeoutMs = 5_000;

/**
 * The library's options. Reconnection is attempted without limit.
 * @param reconnectDelayMs returns the wait of the library before it dials again.
 * @throws MicroError `invalid_argument` for options that contradict each other, and for an invalid
 * address.
 */
export function connectionOptions(
  options: NatsOptions,
  reconnectDelayMs: () => number,
): ConnectionOptions {
  const { name, credentials, nkey } = options;
  const addresses = readAddresses(options.servers);
  const { user = addresses.user, token = addresses.token, password = addresses.password } = options;
  const ways = [options.user, addresses.user, options.token, addresses.token, credentials, nkey];
  if (
    ways.filter((way) => way !== undefined).length > 1 ||
    (password !== undefined && user === undefined)
  ) {
    throw invalid(
      "NATS takes one of user and password, token, credentials, and nkey, in options or in addresses; give one",
    );
  }
  const authenticator = authenticatorOf(options);
  const tls = options.tls ?? (addresses.encrypted ? true : undefined);
  return {
    servers: [...addresses.servers],
    ...(name === undefined ? {} : { name }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls === undefined ? {} : { tls: tls === true ? {} : { ...tls } }),
    timeout: options.timeoutMs ?? defaultNatsTimeoutMs,
    maxReconnectAttempts: -1,
    // A server that restarts may refuse our credentials for a moment.
    ignoreAuthErrorAbort: true,
    reconnectDelayHandler: reconnectDelayMs,
    pingInterval: 5_000,
    maxPingOut: 2,
  };
}

/** The contents of addresses. The library itself reads only host and port. */
interface Addresses {
  /** Without passwords. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Whether one of them requires TLS. */
  readonly encrypted: boolean;
}

function readAddresses(given: NatsOptions["servers"]): Addresses {
  const texts = typeof given === "string" ? given.split(",") : (given ?? defaultServers);
  const servers: string[] = [];
  const identities = new Set<string>();
  for (const text of texts) {
    const parts = /^(?:(nats|tls):\/\/)?(?:([^@/]+)@)?([^@/\s]+)\/?$/.exec(text.trim());
    if (parts === null) {
      const shown = text.replace(/\/\/.*@/, "//…@");
      throw invalid(
        `NATS has no address ${JSON.stringify(shown)}; it is nats://host:port or tls://host:port, with %40 and %2F for @ and / in a password`,
      );
    }
    const [, scheme = "nats", identity, host] = parts;
    servers.push(`${scheme}://${host}`);
    if (identity !== undefined) identities.add(identity);
  }
  if (identities.size > 1) {
    throw invalid("the NATS addresses name different users; one connection has one user");
  }
  const encrypted = servers.some((server) => server.startsWith("tls:"));
  const [identity] = identities;
  if (identity === undefined) return { servers, encrypted };
  const [first = "", ...rest] = identity.split(":");
  if (rest.length === 0) return { servers, encrypted, token: decode(first) };
  return { servers, encrypted, user: decode(first), password: decode(rest.join(":")) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}

function authenticatorOf({ credentials, nkey }: NatsOptions): Authenticator | undefined {
  if (nkey !== undefined) return nkeyAuthenticator(new TextEncoder().encode(nkey));
  if (credentials === undefined) return undefined;
  return credentialsFile(credentials);
}

/** Reads the file at each connection, and uses the previous contents while it is being replaced. */
function credentialsFile(path: string): Authenticator {
  let last: Authenticator | undefined;
  return (nonce) => {
    try {
      const read = credsAuthenticator(readFileSync(path));
      const shown = read(nonce);
      last = read;
      return shown;
    } catch (error) {
      // An error thrown here during a reconnection ends the connection permanently.
      if (last === undefined) throw error;
      return last(nonce);
    }
  };
}
