import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  readParameters,
  readPemFiles,
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
    const { prefix, timeout, sessionTimeout, startTimeout, ca, cert, key } = readParameters(url, {
      prefix: anyText,
      timeout: durationText,
      sessionTimeout: durationText,
      startTimeout: durationText,
      ca: anyText,
      cert: anyText,
      key: anyText,
    });
    const isEncrypted = url.scheme === "zookeepers";
    if (!isEncrypted && (ca ?? cert ?? key) !== undefined) {
      throw invalid("ca, cert and key are for TLS; use zookeepers://");
    }
    const files = omitUndefined({ ca, cert, key });
    const link = new ZooKeeperLink({
      ...omitUndefined({
        servers: url.hosts.length === 0 ? undefined : url.hosts,
        user: url.username,
        password: url.password,
        timeoutMs: timeout,
        sessionTimeoutMs: sessionTimeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...(isEncrypted ? { tls: Object.keys(files).length === 0 ? true : readPemFiles(files) } : {}),
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

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
