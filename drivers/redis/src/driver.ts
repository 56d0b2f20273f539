import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  oneWord,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { redisBroker } from "./broker/broker.ts";
import { redisSource } from "./config/source.ts";
import { RedisLink } from "./link/link.ts";
import { prefixKind } from "./link/part.ts";
import { redisStore } from "./store/store.ts";
import { redisSync } from "./sync/sync.ts";

/**
 * The driver for Redis and Valkey for `createService({ drivers: [redis] })`:
 * `redis://user:password@a:6379,b:6379/2`, and `rediss://` for TLS. Several hosts are a server and
 * its replicas; the path is the number of the database. Parameters: `fleet`, what all keys begin
 * with, by default `micro`; `durability`, as the option of {@link RedisLink}; `ordering` and
 * `ackWait`, as those of {@link redisBroker}; `timeout` and `startTimeout`. Times are durations
 * (`5s`). For TLS `ca`, `cert` and `key`, the paths of PEM files.
 */
export const redis: Driver = {
  schemes: ["redis", "rediss"],
  severalHosts: true,
  open(url, context) {
    const { fleet, durability, ordering, ackWait, timeout, startTimeout } = readParameters(url, {
      fleet: anyText,
      ordering: oneWord("none", "key"),
      durability: oneWord("none", "process-crash", "power-loss"),
      ackWait: durationText,
      timeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    if (fleet !== undefined && !prefixKind.accepts(fleet)) {
      throw invalid(`the parameter fleet must be ${prefixKind.words}`);
    }
    const link = new RedisLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        user: url.username,
        password: url.password,
        database: databaseOf(url.path),
        durability,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...readTls(url, url.scheme === "rediss", "use rediss://"),
    });
    const { logger } = context;
    const options = { link, ...omitUndefined({ prefix: fleet }) };
    return {
      broker: () =>
        redisBroker({ ...options, ...omitUndefined({ ordering, ackWaitMs: ackWait }), logger }),
      store: () => redisStore(options),
      sync: () => redisSync(options),
      config: () => redisSource(options),
      close: () => link.close(),
    };
  },
};

function databaseOf(path: string): number | undefined {
  if (path === "") return undefined;
  const digits = /^\/(\d{1,5})\/?$/.exec(path)?.[1];
  if (digits !== undefined) return Number(digits);
  throw invalid(`the path ${path} is not the number of a database; use redis://host:6379/2`);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
