import { MicroError } from "@micro-es/runtime";
import {
  type BackendTlsOptions,
  backendAddresses,
  backendTls,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  part,
  readAddress,
  requireUserWithPassword,
  secret,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for etcd; certificates and keys are PEM. */
export type EtcdTlsOptions = BackendTlsOptions;

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

export const etcdKinds: OptionKindsOf<EtcdOptions> = {
  endpoints: backendAddresses("http://10.0.0.5:2379"),
  user: text,
  password: secret,
  tls: backendTls,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const etcdPartKinds: OptionKindsOf<EtcdOptions & { link?: object }> = {
  ...etcdKinds,
  link: etcdLink,
};

const refusal =
  "is not an endpoint of etcd; use http://host:2379 or https://host:2379, and the options user and password";

/**
 * The URLs of the endpoints.
 * @throws MicroError `invalid_argument` for an invalid endpoint, and for a user without a password
 * or the reverse.
 */
export function endpointsOf(options: EtcdOptions): readonly string[] {
  const { endpoints = "http://127.0.0.1:2379", tls } = options;
  requireUserWithPassword("etcd", options);
  const addresses = typeof endpoints === "string" ? endpoints.split(",") : endpoints;
  return addresses.map((address) => {
    const given = address.trim();
    const scheme = tls === undefined ? "http" : "https";
    const [, prefix = `${scheme}://`, place = ""] = /^(https?:\/\/)?(.*?)\/?$/s.exec(given) ?? [];
    const { text } = readAddress(place, 2379, refusal, given);
    if (prefix === "http://" && tls !== undefined) {
      throw new MicroError(
        "invalid_argument",
        `etcd's endpoint ${given} says http, and the option tls is given; use https`,
        { outcome: "not-executed" },
      );
    }
    return `${prefix}${text}`;
  });
}
