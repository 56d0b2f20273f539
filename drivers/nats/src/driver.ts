import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type BackendUrl,
  countText,
  type Driver,
  durationText,
  omitUndefined,
  oneWord,
  readParameters,
} from "@micro-es/runtime/driver";
import { natsSource } from "./config/source.ts";
import { NatsLink } from "./link/link.ts";
import { maxReplicas } from "./link/option-kinds.ts";
import type { NatsOptions } from "./link/options.ts";
import { partsOn } from "./parts.ts";
import { natsTransport } from "./transport/transport.ts";

/**
 * The NATS driver, selected by the environment: `createService({ drivers: [nats] })` with
 * `MICRO_BACKEND=nats://10.0.0.5:4222`, or the same URL in the variable of one part. `tls://`
 * requires TLS, `nats://user:password@host` and `nats://token@host` authenticate, and
 * `nats://a:4222,b:4222` names several servers of a cluster.
 *
 * Parameters: `fleet`, `broker`, `replicas` and `ackWait` as in `natsParts`; `bucket` and `prefix`
 * of the configuration; `credentials`, the path of a `.creds` file; `timeout` and `startTimeout`.
 */
export const nats: Driver = {
  schemes: ["nats", "tls"],
  severalHosts: true,
  open(url, { logger, service, startTimeoutMs }) {
    if (url.path !== "") {
      throw invalid(`${url.scheme}: takes no path; name the bucket of a configuration by ?bucket=`);
    }
    const parameters = readParameters(url, {
      fleet: anyText,
      broker: oneWord("jetstream", "core"),
      replicas: countText(maxReplicas),
      ackWait: durationText,
      bucket: anyText,
      prefix: anyText,
      credentials: anyText,
      timeout: durationText,
      startTimeout: durationText,
    });
    const { fleet, broker, replicas, ackWait: ackWaitMs, prefix } = parameters;
    const link = new NatsLink({
      servers: serversOf(url),
      ...identityOf(url, parameters.credentials),
      ...omitUndefined({
        name: service,
        timeoutMs: parameters.timeout,
        startTimeoutMs: parameters.startTimeout ?? startTimeoutMs,
      }),
    });
    const bucket = parameters.bucket ?? `${fleet ?? "micro"}-config`;
    return {
      ...partsOn(link, omitUndefined({ fleet, broker, replicas, ackWaitMs }), logger),
      config: () => natsSource({ link, bucket, ...omitUndefined({ replicas, prefix }) }),
      transport: () => natsTransport({ link }),
      close: () => link.close(),
    };
  },
};

function serversOf({ scheme, hosts }: BackendUrl): readonly string[] {
  return (hosts.length === 0 ? ["127.0.0.1:4222"] : hosts).map((host) => `${scheme}://${host}`);
}

/** A lone value before the `@` is a token. */
function identityOf(
  { scheme, username, password }: BackendUrl,
  credentials: string | undefined,
): NatsOptions {
  const isNamed = username !== undefined || password !== undefined;
  if (
    (isNamed && credentials !== undefined) ||
    (password !== undefined && username === undefined)
  ) {
    throw invalid(`${scheme}: takes one of user and password, a token, and credentials`);
  }
  if (password === undefined) return omitUndefined({ token: username, credentials });
  return omitUndefined({ user: username, password });
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
