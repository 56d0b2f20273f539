import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { nsqBroker } from "./broker/broker.ts";
import { NsqLink } from "./link/link.ts";

/**
 * The driver for NSQ for `createService({ drivers: [nsq] })`: `nsq://secret@a:4150,b:4150`, and
 * `nsqs://` for TLS. Several hosts are independent nsqd servers. Parameters: `prefix` and `ackWait`
 * as the options of {@link nsqBroker}; `timeout` and `startTimeout` as durations (`5s`); for TLS
 * `ca`, `cert` and `key`, the paths of PEM files.
 */
export const nsq: Driver = {
  schemes: ["nsq", "nsqs"],
  severalHosts: true,
  open(url, { logger, service, startTimeoutMs }) {
    if (url.path !== "") throw invalid(`${url.scheme}: takes no path; name a fleet by ?prefix=`);
    if (url.password !== undefined) {
      throw invalid("NSQ takes a secret and no password: nsq://secret@host");
    }
    const { prefix, ackWait, timeout, startTimeout } = readParameters(url, {
      prefix: anyText,
      ackWait: durationText,
      timeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    const link = new NsqLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        secret: url.username,
        name: service,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? startTimeoutMs,
      }),
      ...readTls(url, url.scheme === "nsqs", "use nsqs://"),
    });
    return {
      broker: () => nsqBroker({ link, ...omitUndefined({ prefix, ackWaitMs: ackWait, logger }) }),
      close: () => link.close(),
    };
  },
};

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
