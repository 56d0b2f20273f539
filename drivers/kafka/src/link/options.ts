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
  requireUserWithPassword,
  secret,
  text,
} from "@micro-es/runtime/driver";

/** TLS options for Kafka; certificates and keys are PEM. */
export type KafkaTlsOptions = BackendTlsOptions;

/** How user and password are proved to a broker. */
export type KafkaMechanism = "plain" | "scram-sha-256" | "scram-sha-512";

/** The Kafka cluster, and how to authenticate to it. */
export interface KafkaOptions {
  /**
   * Addresses of brokers of one cluster, such as `10.0.0.5:9092`, from which the others are
   * learned; several in one string are separated by commas. Default `127.0.0.1:9092`.
   */
  readonly servers?: string | readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Default `scram-sha-512`. `plain` shows the password to the broker, so it is for TLS. */
  readonly mechanism?: KafkaMechanism;
  /** TLS with these options, or with the system's authorities if it is `true`. */
  readonly tls?: KafkaTlsOptions | true;
  /** Timeout of connecting, and of a response, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for a cluster that is not up yet, in milliseconds. Later uses fail
   * immediately while there is no connection. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
}

export const defaultTimeoutMs = 10_000;
export const defaultStartTimeoutMs = 30_000;

/** A connection that several parts share. */
const kafkaLink: OptionKind = part("a KafkaLink", "new KafkaLink({ servers })", "node", "open");

export const kafkaKinds: OptionKindsOf<KafkaOptions> = {
  servers: backendAddresses("10.0.0.5:9092"),
  user: text,
  password: secret,
  mechanism: oneOf("plain", "scram-sha-256", "scram-sha-512"),
  tls: backendTls,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every part accepts. */
export const kafkaPartKinds: OptionKindsOf<KafkaOptions & { link?: object }> = {
  ...kafkaKinds,
  link: kafkaLink,
};

/**
 * The addresses of the brokers.
 * @throws MicroError `invalid_argument` for an invalid address, for a user without a password or
 * the reverse, and for a mechanism without them.
 */
export function addressesOf(options: KafkaOptions): readonly BackendAddress[] {
  const { servers = "127.0.0.1:9092", user, mechanism } = options;
  requireUserWithPassword("Kafka", options);
  if (mechanism !== undefined && user === undefined) {
    throw new MicroError(
      "invalid_argument",
      "the option mechanism is for user and password, which are missing",
      { outcome: "not-executed" },
    );
  }
  return readAddresses(
    servers,
    9092,
    "is not an address of Kafka; use host:9092, and the options user, password and tls",
  );
}
