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

/** TLS options for RabbitMQ; certificates and keys are PEM. */
export interface RabbitMqTlsOptions {
  /** Certificates of trusted authorities. Default: the system's. */
  readonly ca?: string;
  /** This client's certificate and key, for servers that require one. */
  readonly cert?: string;
  readonly key?: string;
}

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
const rabbitMqLink: OptionKind = part(
  "a RabbitMqLink",
  "new RabbitMqLink({ servers })",
  "open",
  "close",
);

const onlyTrue: OptionKind = { words: "true", accepts: (value) => value === true };

export const rabbitMqKinds: OptionKindsOf<RabbitMqOptions> = {
  servers: {
    words: 'addresses, for example "10.0.0.5:5672", or a list of them',
    accepts: (value) => text.accepts(value) || (texts.accepts(value) && (value as []).length > 0),
    secret: true,
  },
  vhost: text,
  user: text,
  password: secret,
  tls: either(optionsOf<RabbitMqTlsOptions>({ ca: text, cert: text, key: secret }), onlyTrue),
  name: text,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const rabbitMqPartKinds: OptionKindsOf<RabbitMqOptions & { link?: object }> = {
  ...rabbitMqKinds,
  link: rabbitMqLink,
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
export function serversOf(options: RabbitMqOptions): readonly ServerAddress[] {
  const { servers = "127.0.0.1", user, password, tls } = options;
  if ((user === undefined) !== (password === undefined)) {
    throw invalid("RabbitMQ takes user and password together; one of them is missing");
  }
  const addresses = typeof servers === "string" ? servers.split(",") : servers;
  return addresses.map((address) => {
    const given = address.trim();
    const parts = /^(\[[\da-f:.]+\]|[^@/?#:\s]+)(?::(\d{1,5}))?$/i.exec(given);
    const port = Number(parts?.[2] ?? (tls === undefined ? 5672 : 5671));
    if (parts === null || port > 65_535) {
      // The text before an @ may contain a password.
      const shown = JSON.stringify(given.replace(/.*@/, "…@"));
      throw invalid(
        `${shown} is not the address of a RabbitMQ server; use host:5672, and the options user and password`,
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
