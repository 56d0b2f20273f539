import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  oneWord,
  readParameters,
  readPemFiles,
} from "@micro-es/runtime/driver";
import { rabbitmqBroker } from "./broker/broker.ts";
import { RabbitMqLink } from "./link/link.ts";

/**
 * The RabbitMQ driver for `createService({ drivers: [rabbitmq] })`:
 * `amqp://user:password@a:5672,b:5672/vhost`, and `amqps://` for TLS; `rabbitmq://` is the same as
 * `amqp://`. Without a path the virtual host is `/`. Parameters: `exchange` and `ordering` as in
 * `rabbitmqBroker`; `timeout` and `startTimeout` as durations (`5s`); for TLS `ca`, `cert` and
 * `key`, the paths of PEM files.
 */
export const rabbitmq: Driver = {
  schemes: ["amqp", "amqps", "rabbitmq"],
  severalHosts: true,
  open(url, { logger, service, startTimeoutMs }) {
    const { exchange, ordering, timeout, startTimeout, ca, cert, key } = readParameters(url, {
      exchange: anyText,
      ordering: oneWord("none", "key"),
      timeout: durationText,
      startTimeout: durationText,
      ca: anyText,
      cert: anyText,
      key: anyText,
    });
    const isEncrypted = url.scheme === "amqps";
    if (!isEncrypted && (ca ?? cert ?? key) !== undefined) {
      throw invalid("ca, cert and key are for TLS; use amqps://");
    }
    const vhost = url.path.slice(1);
    const files = omitUndefined({ ca, cert, key });
    const link = new RabbitMqLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        user: url.username,
        password: url.password,
        vhost: vhost === "" ? undefined : vhost,
        name: service,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? startTimeoutMs,
      }),
      ...(isEncrypted ? { tls: Object.keys(files).length === 0 ? true : readPemFiles(files) } : {}),
    });
    return {
      broker: () => rabbitmqBroker({ link, ...omitUndefined({ exchange, ordering, logger }) }),
      close: () => link.close(),
    };
  },
};

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
