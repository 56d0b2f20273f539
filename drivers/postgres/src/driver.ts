import {
  anyText,
  countText,
  type Driver,
  durationText,
  omitUndefined,
  oneWord,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { PostgresLink } from "./link/link.ts";
import { postgresStore } from "./store/store.ts";
import { postgresSync } from "./sync/sync.ts";

/**
 * The PostgreSQL driver for `createService({ drivers: [postgres] })`:
 * `postgres://user:password@a:5432,b:5432/database`. Parameters: `schema`, that of all tables, by
 * default `micro`; `sslmode`, which is `disable`, or `require` or `verify-full` for TLS with a
 * certificate that is verified; `sslrootcert`, `sslcert` and `sslkey`, the paths of PEM files;
 * `timeout` and `startTimeout` as durations (`5s`); `connections`, the number for statements.
 */
export const postgres: Driver = {
  schemes: ["postgres", "postgresql"],
  severalHosts: true,
  open(url, context) {
    const { schema, sslmode, timeout, startTimeout, connections } = readParameters(url, {
      schema: anyText,
      sslmode: oneWord("disable", "require", "verify-full"),
      sslrootcert: anyText,
      sslcert: anyText,
      sslkey: anyText,
      timeout: durationText,
      startTimeout: durationText,
      connections: countText(1_000),
    });
    const isEncrypted = sslmode !== undefined && sslmode !== "disable";
    const database = url.path.replace(/^\//, "");
    const link = new PostgresLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        user: url.username,
        password: url.password,
        database: database === "" ? undefined : database,
        schema,
        maxConnections: connections,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...readTls(url, isEncrypted, "add sslmode=verify-full", ["sslrootcert", "sslcert", "sslkey"]),
    });
    return {
      store: () => postgresStore({ link }),
      sync: () => postgresSync({ link }),
      close: () => link.close(),
    };
  },
};
