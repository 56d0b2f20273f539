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

/** TLS options for RabbitMQ; certificates and keys are PEM. */
export type RabbitMqTlsOptions = BackendTlsOptions;

/** The RabbitMQ servers, and how to authenticate to them. */
export interface RabbitMqOptions {
  /**
   * Addresses of servers of one cluster, `host:port`; several in one string are separated by
   * commas. They are tried in turn. Default `127.0.0.1:5672`, with TLS `127.0.0.1:5671`.
   */
  readonly servers?: string | readonly string[];
  /** Default `/`. */
  readonly vhost?: string;
  /** Default `guest`, with that password; RabbitMQ accepts it only from its own machine. */
  readonly user?: string;
  readonly password?: string;
  /** TLS with these options, or with the system's authorities if it is `true`. */
  readonly tls?: RabbitMqTlsOptions | true;
  /** Name of the connections in RabbitMQ's own tools. Default `micro`. */
  readonly name?: string;
  /**
   * Timeout of connecting, of a declaration, and of a publication with its repetitions, in
   * milliseconds. Default 10,000.
   */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for servers that are not up yet, in milliseconds. Later uses fail
   * immediately while there is no connection. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 10_000;
export const defaultStartTimeoutMs = 30_000;

/** Connections that several parts share. */
export const rabbitMqLink: OptionKind = part(
  "a RabbitMqLink",
  "new RabbitMqLink({ servers })",
  "open",
  "close",
);

export const rabbitMqKinds: OptionKindsOf<RabbitMqOptions> = {
  servers: backendAddresses("10.0.0.5:5672"),
  vhost: text,
  user: text,
  password: secret,
  tls: backendTls,
  name: text,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const rabbitMqPartKinds: OptionKindsOf<RabbitMqOptions & { link?: object }> = {
  ...rabbitMqKinds,
  link: rabbitMqLink,
};

/**
 * The addresses of the servers.
 * @throws MicroError `invalid_argument` for an invalid address, and for a user without a password
 * or the reverse.
 */
export function serversOf(options: RabbitMqOptions): readonly BackendAddress[] {
  const { servers = "127.0.0.1", tls } = options;
  requireUserWithPassword("RabbitMQ", options);
  return readAddresses(
    servers,
    tls === undefined ? 5672 : 5671,
    "is not the address of a RabbitMQ server; use host:5672, and the options user and password",
  );
}
