import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  countText,
  type Driver,
  durationText,
  omitUndefined,
  oneWord,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { kafkaBroker, prefixKind } from "./broker/broker.ts";
import { KafkaLink } from "./link/link.ts";

/**
 * The driver for Kafka for `createService({ drivers: [kafka] })`:
 * `kafka://user:password@a:9092,b:9092`, and `kafkas://` for TLS. Several hosts are brokers of one
 * cluster. Parameters: `fleet`, what all topics and groups begin with, by default `micro`;
 * `mechanism`, as the option of {@link KafkaLink}; `ordering`, `partitions`, `replicas` and
 * `session` (a duration), as those of {@link kafkaBroker}; `timeout` and `startTimeout` as
 * durations (`5s`); for TLS `ca`, `cert` and `key`, the paths of PEM files.
 */
export const kafka: Driver = {
  schemes: ["kafka", "kafkas"],
  severalHosts: true,
  open(url, context) {
    const parameters = readParameters(url, {
      fleet: anyText,
      mechanism: oneWord("plain", "scram-sha-256", "scram-sha-512"),
      ordering: oneWord("none", "key"),
      partitions: countText(10_000),
      replicas: countText(1_000),
      session: durationText,
      timeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    const { fleet, mechanism, ordering, partitions, replicas, session, timeout, startTimeout } =
      parameters;
    if (url.path !== "" && url.path !== "/")
      throw invalid(`a URL of Kafka has no path ${url.path}`);
    if (fleet !== undefined && !prefixKind.accepts(fleet)) {
      throw invalid(`the parameter fleet must be ${prefixKind.words}`);
    }
    const link = new KafkaLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        user: url.username,
        password: url.password,
        mechanism,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...readTls(url, url.scheme === "kafkas", "use kafkas://"),
    });
    const { logger } = context;
    const options = omitUndefined({
      prefix: fleet,
      ordering,
      partitions,
      replicas,
      sessionTimeoutMs: session,
    });
    return {
      broker: () => kafkaBroker({ link, logger, ...options }),
      close: () => link.close(),
    };
  },
};

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
