import { MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  type BackendTlsOptions,
  backendTls,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  part,
  readAddress,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for a Consul agent; certificates and keys are PEM. */
export type ConsulTlsOptions = BackendTlsOptions;

/** The Consul agent, and how to authenticate to it. */
export interface ConsulOptions {
  /**
   * The agent of this machine: `http://host:8500`, `https://…` or `host:port`. Default
   * `http://127.0.0.1:8500`.
   */
  readonly address?: string;
  /** An ACL token. */
  readonly token?: string;
  /**
   * The datacenter whose services are found. Default: the agent's own, in which nodes are
   * registered in any case.
   */
  readonly datacenter?: string;
  /**
   * TLS with these options, or with the system's authorities if it is `true`. An address without a
   * scheme then uses TLS.
   */
  readonly tls?: ConsulTlsOptions | true;
  /**
   * Timeout of a response, in milliseconds. A blocking query lasts up to six times as long. Default
   * 5,000.
   */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for an agent that is not up yet or has no leader, in milliseconds.
   * Later uses fail immediately while it is unavailable. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 5_000;
export const defaultStartTimeoutMs = 30_000;

/** A connection that several parts share. */
const consulLink: OptionKind = part(
  "a ConsulLink",
  'new ConsulLink({ address: "http://127.0.0.1:8500" })',
  "call",
  "open",
);

/** Goes into a header. */
const token: OptionKind = {
  words: "visible ASCII",
  accepts: (value) => typeof value === "string" && /^[!-~]{1,4096}$/.test(value),
  secret: true,
};

export const consulKinds: OptionKindsOf<ConsulOptions> = {
  address: {
    words: 'an address, for example "http://127.0.0.1:8500"',
    accepts: text.accepts,
    secret: true,
  },
  token,
  datacenter: {
    words: 'the name of a datacenter, for example "dc1"',
    accepts: (value) => typeof value === "string" && /^[\w-]{1,128}$/.test(value),
  },
  tls: backendTls,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const consulPartKinds: OptionKindsOf<ConsulOptions & { link?: object }> = {
  ...consulKinds,
  link: consulLink,
};

/** Where the agent listens. */
export interface AgentAddress extends BackendAddress {
  readonly isEncrypted: boolean;
  /** The whole URL, for messages. */
  readonly url: string;
}

const refusal =
  "is not the address of a Consul agent; use http://host:8500 or https://host:8501, and the option token";

/** @throws MicroError `invalid_argument` for an invalid address. */
export function agentAddress({
  address = "http://127.0.0.1:8500",
  tls,
}: ConsulOptions): AgentAddress {
  const given = address.trim();
  const parts = /^(?:(https?):\/\/)?(.*?)\/?$/is.exec(given) ?? [];
  const [, scheme = tls === undefined ? "http" : "https", place = ""] = parts;
  const isEncrypted = scheme.toLowerCase() === "https";
  const at = readAddress(place, isEncrypted ? 8501 : 8500, refusal, given);
  if (!isEncrypted && tls !== undefined) {
    throw new MicroError(
      "invalid_argument",
      `Consul's address ${given} says http, and the option tls is given; use https`,
      { outcome: "not-executed" },
    );
  }
  return { ...at, isEncrypted, url: `${isEncrypted ? "https" : "http"}://${at.text}` };
}
