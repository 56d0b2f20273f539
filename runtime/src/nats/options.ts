import { readFileSync } from "node:fs";
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  nkeyAuthenticator,
} from "nats";
import { MicroError } from "../error.ts";

/** TLS towards NATS servers; certificates and keys are PEM. */
export interface NatsTlsOptions {
  /** Certificates of the authorities that are trusted. Default: the system's. */
  readonly ca?: string;
  /** This client's certificate and key, where the server asks for one. */
  readonly cert?: string;
  readonly key?: string;
}

/** Which NATS servers, and who we are to them. */
export interface NatsOptions {
  /** Addresses such as `nats://host:4222`, of servers of one cluster. Default `MICRO_NATS_URL`, else `nats://127.0.0.1:4222`. */
  readonly servers?: string | readonly string[];
  /** What the servers list this connection as. */
  readonly name?: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Path of a `.creds` file. It is read again at each connection, so that it can be renewed. */
  readonly credentials?: string;
  /** Seed of an nkey, `SU…`. */
  readonly nkey?: string;
  /** TLS with these options; `true` with the system's authorities. A server that demands TLS gets it anyway. */
  readonly tls?: NatsTlsOptions | true;
  /** Time to connect, and to wait for an answer of JetStream, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
}

/** The time to connect and to wait for answers unless told otherwise, in milliseconds. */
export const defaultNatsTimeoutMs = 5_000;

/**
 * The library's options. Reconnection never gives up.
 * @param reconnectDelayMs the wait that the library asks for before it dials again.
 * @throws MicroError `invalid_argument` for options that contradict each other.
 */
export function connectionOptions(
  options: NatsOptions,
  reconnectDelayMs: () => number,
): ConnectionOptions {
  const { servers, name, user, password, token, tls } = options;
  const ways = [user, token, options.credentials, options.nkey].filter((way) => way !== undefined);
  if (ways.length > 1 || (password !== undefined && user === undefined)) {
    throw new MicroError(
      "invalid_argument",
      "NATS takes one of user and password, token, credentials, and nkey; give one",
      { outcome: "not-executed" },
    );
  }
  const authenticator = authenticatorOf(options);
  return {
    servers: typeof servers === "string" ? servers.split(",") : [...(servers ?? defaultServers())],
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

function defaultServers(): readonly string[] {
  const url = process.env.MICRO_NATS_URL;
  return url === undefined || url === "" ? ["nats://127.0.0.1:4222"] : url.split(",");
}

function authenticatorOf({ credentials, nkey }: NatsOptions): Authenticator | undefined {
  if (nkey !== undefined) return nkeyAuthenticator(new TextEncoder().encode(nkey));
  if (credentials === undefined) return undefined;
  return (nonce) => credsAuthenticator(readFileSync(credentials))(nonce);
}
