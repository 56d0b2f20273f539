import { isIPv6 } from "node:net";
import { MicroError } from "@micro-es/runtime";
import {
  durationMs,
  either,
  type OptionKind,
  type OptionKindsOf,
  optionsOf,
  part,
  secret,
  text,
  texts,
} from "@micro-es/runtime/driver";

/** TLS options for ZooKeeper; certificates and keys are PEM. */
export interface ZooKeeperTlsOptions {
  /** Certificates of trusted authorities. Default: the system's. */
  readonly ca?: string;
  /** This client's certificate and key, for servers that require one. */
  readonly cert?: string;
  readonly key?: string;
}

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

const onlyTrue: OptionKind = { words: "true", accepts: (value) => value === true };

export const zooKeeperKinds: OptionKindsOf<ZooKeeperOptions> = {
  servers: {
    words: 'addresses, for example "10.0.0.5:2181", or a list of them',
    accepts: (value) => text.accepts(value) || (texts.accepts(value) && (value as []).length > 0),
    secret: true,
  },
  user: {
    words: 'a name without ":"',
    accepts: (value) => text.accepts(value) && !(value as string).includes(":"),
  },
  password: secret,
  tls: either(optionsOf<ZooKeeperTlsOptions>({ ca: text, cert: text, key: secret }), onlyTrue),
  timeoutMs: durationMs(1),
  sessionTimeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const zooKeeperPartKinds: OptionKindsOf<ZooKeeperOptions & { link?: object }> = {
  ...zooKeeperKinds,
  link: zooKeeperLink,
};

/** Where a server listens. */
export interface ServerAddress {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * The addresses of the servers.
 * @throws MicroError `invalid_argument` for an invalid address, and for a user without a password
 * or the reverse.
 */
export function serversOf(options: ZooKeeperOptions): readonly ServerAddress[] {
  const { servers = "127.0.0.1:2181", user, password } = options;
  if ((user === undefined) !== (password === undefined)) {
    throw invalid("ZooKeeper takes user and password together; one of them is missing");
  }
  const addresses = typeof servers === "string" ? servers.split(",") : servers;
  return addresses.map((address) => {
    const given = address.trim();
    const parts = /^(\[[\da-f:.]+\]|[^@/?#:\s]+)(?::(\d{1,5}))?$/i.exec(given);
    const port = Number(parts?.[2] ?? 2181);
    if (parts === null || port > 65_535) {
      // The text before an @ may contain a password.
      const shown = JSON.stringify(given.replace(/.*@/, "…@"));
      throw invalid(
        `${shown} is not the address of a ZooKeeper server; use host:2181, and the options user and password`,
      );
    }
    return { host: (parts[1] ?? "").replace(/^\[|\]$/g, ""), port };
  });
}

export function addressText({ host, port }: ServerAddress): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
