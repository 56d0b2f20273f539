import {
  type BackendAddress,
  type BackendTlsOptions,
  backendAddresses,
  backendTls,
  countUpTo,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  part,
  readAddresses,
  secret,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for PostgreSQL; certificates and keys are PEM. */
export type PostgresTlsOptions = BackendTlsOptions;

/** The PostgreSQL server, and how to authenticate to it. */
export interface PostgresOptions {
  /**
   * Addresses as `host` or `host:port`, of one server and its standbys; several in one string are
   * separated by commas. The first that accepts writes is used. Default `127.0.0.1:5432`.
   */
  readonly servers?: string | readonly string[];
  /** Default: that of libpq, which is `PGUSER` or the user of the process. */
  readonly user?: string;
  /** Default: that of libpq, which is `PGPASSWORD` or `.pgpass`. */
  readonly password?: string;
  /** Default: the name of the user. */
  readonly database?: string;
  /**
   * TLS with these options, or with the system's authorities if it is `true`. The server's
   * certificate has to be valid for its host.
   */
  readonly tls?: PostgresTlsOptions | true;
  /** The schema of all tables; another schema is a separate fleet. Default `micro`. */
  readonly schema?: string;
  /** Connections for statements, besides one that listens. Default 4. */
  readonly maxConnections?: number;
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
export const defaultMaxConnections = 4;
export const defaultSchema = "micro";

/** A connection that several parts share. */
const postgresLink: OptionKind = part(
  "a PostgresLink",
  'new PostgresLink({ servers: "127.0.0.1:5432" })',
  "query",
  "open",
);

const schemaName: OptionKind = {
  words: "1 to 40 of a-z, 0-9 and _, beginning with a letter",
  accepts: (value) => typeof value === "string" && /^[a-z][a-z0-9_]{0,39}$/.test(value),
};

export const postgresKinds: OptionKindsOf<PostgresOptions> = {
  servers: backendAddresses("10.0.0.5:5432"),
  user: text,
  password: secret,
  database: text,
  tls: backendTls,
  schema: schemaName,
  maxConnections: countUpTo(1_000),
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const postgresPartKinds: OptionKindsOf<PostgresOptions & { link?: object }> = {
  ...postgresKinds,
  link: postgresLink,
};

/** @throws MicroError `invalid_argument` for an address that is not valid. */
export function addressesOf({
  servers = "127.0.0.1:5432",
}: PostgresOptions): readonly BackendAddress[] {
  return readAddresses(
    servers,
    5432,
    "is not an address of PostgreSQL; use host or host:port, and the options user, password and database",
  );
}
