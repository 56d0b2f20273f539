import {
  anyText,
  type Driver,
  durationText,
  flagText,
  omitUndefined,
  oneWord,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { rabbitmqBroker } from "./broker/broker.ts";
import { RabbitMqLink } from "./link/link.ts";
import { rabbitmqTransport } from "./transport/transport.ts";

/**
 * The RabbitMQ driver for `createService({ drivers: [rabbitmq] })`:
 * `amqp://user:password@a:5672,b:5672/vhost`, and `amqps://` for TLS; `rabbitmq://` is the same as
 * `amqp://`. Without a path the virtual host is `/`. Parameters: `exchange`, `ordering`, `format`
 * and `durableQueues` as in `rabbitmqBroker`; `timeout` and `startTimeout` as durations (`5s`); for
 * TLS `ca`, `cert` and `key`, the paths of PEM files.
 */
export const rabbitmq: Driver = {
  schemes: ["amqp", "amqps", "rabbitmq"],
  severalHosts: true,
  open(url, { logger, service, startTimeoutMs }) {
    const parameters = readParameters(url, {
      exchange: anyText,
      ordering: oneWord("none", "key"),
      format: oneWord("headers", "go-micro"),
      durableQueues: flagText,
      timeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    const { exchange, ordering, format, durableQueues, timeout, startTimeout } = parameters;
    const vhost = url.path.slice(1);
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
      ...readTls(url, url.scheme === "amqps", "use amqps://"),
    });
    return {
      broker: () =>
        rabbitmqBroker({
          link,
          ...omitUndefined({ exchange, ordering, format, durableQueues, logger }),
        }),
      transport: () => rabbitmqTransport({ link }),
      close: () => link.close(),
    };
  },
};
