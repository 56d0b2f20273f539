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
  secret,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for NSQ; certificates and keys are PEM. */
export type NsqTlsOptions = BackendTlsOptions;

/** The nsqd servers, and how to authenticate to them. */
export interface NsqOptions {
  /**
   * Addresses such as `10.0.0.5:4150`. Several are independent servers: each event is on one of
   * them, and subscriptions take events from all. Default `127.0.0.1:4150`.
   */
  readonly servers?: string | readonly string[];
  /** The secret for AUTH. */
  readonly secret?: string;
  /** Connects by TLS; `true` for the system's authorities and no client certificate. */
  readonly tls?: NsqTlsOptions | true;
  /** What nsqd's statistics call this client. Default `micro`. */
  readonly name?: string;
  /** Limit for each response of a server, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  /** How long the first use waits for a server, in milliseconds. Default 30,000. */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 5_000;
export const defaultStartTimeoutMs = 30_000;

/** A connection that several parts share. */
const nsqLink: OptionKind = part("an NsqLink", "new NsqLink({ servers })", "open", "close");

export const nsqKinds: OptionKindsOf<NsqOptions> = {
  servers: backendAddresses("10.0.0.5:4150"),
  secret,
  tls: backendTls,
  name: text,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options of a part: those of the connection, or a shared connection. */
export const nsqPartKinds: OptionKindsOf<NsqOptions & { link?: object }> = {
  ...nsqKinds,
  link: nsqLink,
};

/** @throws MicroError `invalid_argument` for an address that is not valid. */
export function addressesOf({ servers = "127.0.0.1:4150" }: NsqOptions): readonly BackendAddress[] {
  return readAddresses(
    servers,
    4150,
    "is not an address of nsqd; use host:4150, and the options secret and tls",
  );
}
