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

/** TLS options for etcd; certificates and keys are PEM. */
export interface EtcdTlsOptions {
  /** Certificates of trusted authorities. Default: the system's. */
  readonly ca?: string;
  /** This client's certificate and key, for members that require one. */
  readonly cert?: string;
  readonly key?: string;
}

/** The etcd cluster, and how to authenticate to it. */
export interface EtcdOptions {
  /**
   * Addresses of members of one cluster, such as `http://10.0.0.5:2379`, `https://…` or
   * `host:port`; several in one string are separated by commas. They are tried in turn. Default
   * `http://127.0.0.1:2379`.
   */
  readonly endpoints?: string | readonly string[];
  /** A user of etcd's own authentication, with {@link password}. */
  readonly user?: string;
  readonly password?: string;
  /**
   * TLS with these options, or with the system's authorities if it is `true`. Endpoints without a
   * scheme then use TLS.
   */
  readonly tls?: EtcdTlsOptions | true;
  /** Timeout of connecting, and of a response, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for a cluster that is not up yet, in milliseconds. Later uses fail
   * immediately while there is no connection. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 5_000;
export const defaultStartTimeoutMs = 30_000;

/** A connection that several parts share. */
const etcdLink: OptionKind = part("an EtcdLink", "new EtcdLink({ endpoints })", "call", "open");

const onlyTrue: OptionKind = { words: "true", accepts: (value) => value === true };

export const etcdKinds: OptionKindsOf<EtcdOptions> = {
  endpoints: {
    words: 'addresses, for example "http://10.0.0.5:2379", or a list of them',
    accepts: (value) => text.accepts(value) || (texts.accepts(value) && (value as []).length > 0),
    secret: true,
  },
  user: text,
  password: secret,
  tls: either(optionsOf<EtcdTlsOptions>({ ca: text, cert: text, key: secret }), onlyTrue),
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const etcdPartKinds: OptionKindsOf<EtcdOptions & { link?: object }> = {
  ...etcdKinds,
  link: etcdLink,
};

/**
 * The URLs of the endpoints.
 * @throws MicroError `invalid_argument` for an invalid endpoint, and for a user without a password
 * or the reverse.
 */
export function endpointsOf(options: EtcdOptions): readonly string[] {
  const { endpoints = "http://127.0.0.1:2379", user, password, tls } = options;
  if ((user === undefined) !== (password === undefined)) {
    throw invalid("etcd takes user and password together; one of them is missing");
  }
  const addresses = typeof endpoints === "string" ? endpoints.split(",") : endpoints;
  return addresses.map((address) => {
    const given = address.trim();
    const scheme = tls === undefined ? "http" : "https";
    const parts = /^(https?:\/\/)?([^@/?#\s]+?)(?::(\d+))?\/?$/.exec(given);
    if (parts === null) {
      // The text before an @ may contain a password.
      const shown = JSON.stringify(given.replace(/.*@/, "…@"));
      throw invalid(
        `${shown} is not an endpoint of etcd; use http://host:2379 or https://host:2379, and the options user and password`,
      );
    }
    const [, prefix = `${scheme}://`, host, port = "2379"] = parts;
    if (prefix === "http://" && tls !== undefined) {
      throw invalid(`etcd's endpoint ${given} says http, and the option tls is given; use https`);
    }
    return `${prefix}${host}:${port}`;
  });
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
