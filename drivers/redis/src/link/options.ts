import { MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  type BackendTlsOptions,
  backendAddresses,
  backendTls,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  oneOf,
  part,
  readAddresses,
  secret,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for Redis; certificates and keys are PEM. */
export type RedisTlsOptions = BackendTlsOptions;

/** The failures that what a server has acknowledged survives. */
export type RedisDurability = "none" | "process-crash" | "power-loss";

/** The Redis or Valkey server, and how to authenticate to it. */
export interface RedisOptions {
  /**
   * Addresses of one server and its replicas, such as `10.0.0.5:6379`; several in one string are
   * separated by commas. The one that is the primary is used. Default `127.0.0.1:6379`.
   */
  readonly servers?: string | readonly string[];
  /** A user of the server's access control list, with {@link password}. Default: `default`. */
  readonly user?: string;
  readonly password?: string;
  /** The number of the database. Default 0. */
  readonly database?: number;
  /** TLS with these options, or with the system's authorities if it is `true`. */
  readonly tls?: RedisTlsOptions | true;
  /**
   * The durability to publish as a guarantee: `process-crash` needs an append-only file, and
   * `power-loss` one that is synchronized at every write; both need a server without replicas,
   * because a replica that is promoted may lack acknowledged writes. A server with less is refused.
   * Default `none`.
   */
  readonly durability?: RedisDurability;
  /** Timeout of connecting, and of a response, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for a server that is not up yet, in milliseconds. Later uses fail
   * immediately while there is no connection. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 5_000;
export const defaultStartTimeoutMs = 30_000;

/** A connection that several parts share. */
const redisLink: OptionKind = part("a RedisLink", "new RedisLink({ servers })", "run", "open");

/** The number of a database. */
export const databaseKind: OptionKind = {
  words: "the number of a database, for example 2",
  accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
};

export const redisKinds: OptionKindsOf<RedisOptions> = {
  servers: backendAddresses("10.0.0.5:6379"),
  user: text,
  password: secret,
  database: databaseKind,
  tls: backendTls,
  durability: oneOf("none", "process-crash", "power-loss"),
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const redisPartKinds: OptionKindsOf<RedisOptions & { link?: object }> = {
  ...redisKinds,
  link: redisLink,
};

/**
 * The addresses of the servers.
 * @throws MicroError `invalid_argument` for an invalid address, and for a user without a password.
 */
export function addressesOf(options: RedisOptions): readonly BackendAddress[] {
  const { servers = "127.0.0.1:6379", user, password } = options;
  if (user !== undefined && password === undefined) {
    throw new MicroError(
      "invalid_argument",
      "Redis takes a user only with its password, and the password is missing",
      { outcome: "not-executed" },
    );
  }
  return readAddresses(
    servers,
    6379,
    "is not an address of Redis; use host:6379, and the options user, password and tls",
  );
}
