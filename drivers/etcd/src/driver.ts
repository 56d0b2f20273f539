import {
  anyText,
  type BackendUrl,
  type Driver,
  durationText,
  omitUndefined,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { etcdSource } from "./config/source.ts";
import { EtcdLink } from "./link/link.ts";
import { etcdRegistry } from "./registry/registry.ts";
import { etcdStore } from "./store/store.ts";
import { etcdSync } from "./sync/sync.ts";

/**
 * The etcd driver for `createService({ drivers: [etcd] })`:
 * `etcd://user:password@a:2379,b:2379/fleet`, and `etcds://` for TLS. The path is the fleet, by
 * default `/micro`: each part has the keys below its name in it, such as `/micro/registry`.
 * Parameters: `prefix`, the part of the configuration to read, such as `shop` for the keys below
 * `/micro/config/shop`; `timeout` and `startTimeout` as durations (`5s`); for TLS `ca`, `cert` and
 * `key`, the paths of PEM files.
 */
export const etcd: Driver = {
  schemes: ["etcd", "etcds"],
  severalHosts: true,
  open(url, context) {
    const { prefix, timeout, startTimeout } = readParameters(url, {
      prefix: anyText,
      timeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    const isEncrypted = url.scheme === "etcds";
    const link = new EtcdLink({
      ...omitUndefined({
        endpoints: endpointsOf(url, isEncrypted ? "https" : "http"),
        user: url.username,
        password: url.password,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...readTls(url, isEncrypted, "use etcds://"),
    });
    const fleet = url.path.replace(/\/$/, "") || "/micro";
    const config = `${fleet}/config${prefix === undefined ? "" : `/${prefix}`}`;
    return {
      registry: () => etcdRegistry({ link, prefix: `${fleet}/registry` }),
      store: () => etcdStore({ link, prefix: `${fleet}/store` }),
      sync: () => etcdSync({ link, prefix: `${fleet}/sync` }),
      config: () => etcdSource({ link, prefix: config }),
      close: () => link.close(),
    };
  },
};

function endpointsOf({ hosts }: BackendUrl, scheme: string): readonly string[] | undefined {
  if (hosts.length === 0) return scheme === "https" ? [`${scheme}://127.0.0.1:2379`] : undefined;
  return hosts.map((host) => `${scheme}://${host}`);
}
