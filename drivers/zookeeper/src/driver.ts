import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { zooKeeperSource } from "./config/source.ts";
import { ZooKeeperLink } from "./link/link.ts";
import { zooKeeperRegistry } from "./registry/registry.ts";
import { zooKeeperSync } from "./sync/sync.ts";

/**
 * The ZooKeeper driver for `createService({ drivers: [zookeeper] })`:
 * `zookeeper://user:password@a:2181,b:2181/fleet`, and `zookeepers://` for TLS. The path is the
 * fleet: each part has the znodes below its name in it, such as `/fleet/registry`. Without a path
 * they are below `/micro-registry`, as in go-micro, `/micro/sync` and `/micro/config`. Parameters:
 * `prefix`, the part of the configuration to read, such as `shop` for the znodes below
 * `/micro/config/shop`; `timeout`, `sessionTimeout` and `startTimeout` as durations (`5s`); for TLS
 * `ca`, `cert` and `key`, the paths of PEM files.
 */
export const zookeeper: Driver = {
  schemes: ["zookeeper", "zookeepers"],
  severalHosts: true,
  open(url, context) {
    const { prefix, timeout, sessionTimeout, startTimeout } = readParameters(url, {
      prefix: anyText,
      timeout: durationText,
      sessionTimeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    const link = new ZooKeeperLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        user: url.username,
        password: url.password,
        timeoutMs: timeout,
        sessionTimeoutMs: sessionTimeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...readTls(url, url.scheme === "zookeepers", "use zookeepers://"),
    });
    const path = url.path.replace(/\/$/, "");
    const fleet = path || "/micro";
    const config = `${fleet}/config${prefix === undefined ? "" : `/${prefix}`}`;
    const registry = path === "" ? "/micro-registry" : `${path}/registry`;
    return {
      registry: () => zooKeeperRegistry({ link, root: registry }),
      sync: () => zooKeeperSync({ link, root: `${fleet}/sync` }),
      config: () => zooKeeperSource({ link, root: config }),
      close: () => link.close(),
    };
  },
};
