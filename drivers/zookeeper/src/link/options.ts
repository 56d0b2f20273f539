import {
  type BackendAddress,
  type BackendTlsOptions,
  backendAddresses,
  backendTls,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  part,
  readAddresses,
  requireUserWithPassword,
  secret,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for ZooKeeper; certificates and keys are PEM. */
export type ZooKeeperTlsOptions = BackendTlsOptions;

/** The ZooKeeper ensemble, and how to authenticate to it. */
export interface ZooKeeperOptions {
  /**
   * Addresses of servers of one ensemble, `host:port`; several in one string are separated by
   * commas. They are tried in turn. Default `127.0.0.1:2181`.
   */
  readonly servers?: string | readonly string[];
  /**
   * A user of ZooKeeper's digest scheme, with {@link password}. Znodes that are created then belong
   * to that user; otherwise everyone may read and write them.
   */
  readonly user?: string;
  readonly password?: string;
  /** TLS with these options, or with the system's authorities if it is `true`. */
  readonly tls?: ZooKeeperTlsOptions | true;
  /** Timeout of connecting, and of a response, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * How long the session outlives its connection, in milliseconds; ZooKeeper grants between 2 and
   * 20 of its ticks, by default 4,000 to 40,000. Default 10,000.
   */
  readonly sessionTimeoutMs?: number;
  /**
   * How long the first use waits for an ensemble that is not up yet, in milliseconds. Later uses
   * fail immediately while there is no connection. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 5_000;
export const defaultSessionTimeoutMs = 10_000;
export const defaultStartTimeoutMs = 30_000;

/** A connection that several parts share. */
const zooKeeperLink: OptionKind = part(
  "a ZooKeeperLink",
  "new ZooKeeperLink({ servers })",
  "call",
  "open",
);

export const zooKeeperKinds: OptionKindsOf<ZooKeeperOptions> = {
  servers: backendAddresses("10.0.0.5:2181"),
  user: {
    words: 'a name without ":"',
    accepts: (value) => text.accepts(value) && !(value as string).includes(":"),
  },
  password: secret,
  tls: backendTls,
  timeoutMs: durationMs(1),
  sessionTimeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const zooKeeperPartKinds: OptionKindsOf<ZooKeeperOptions & { link?: object }> = {
  ...zooKeeperKinds,
  link: zooKeeperLink,
};

/**
 * The addresses of the servers.
 * @throws MicroError `invalid_argument` for an invalid address, and for a user without a password
 * or the reverse.
 */
export function serversOf(options: ZooKeeperOptions): readonly BackendAddress[] {
  const { servers = "127.0.0.1:2181" } = options;
  requireUserWithPassword("ZooKeeper", options);
  return readAddresses(
    servers,
    2181,
    "is not the address of a ZooKeeper server; use host:2181, and the options user and password",
  );
}
