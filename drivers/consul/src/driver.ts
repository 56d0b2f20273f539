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
import { consulSource } from "./config/source.ts";
import { ConsulLink } from "./link/link.ts";
import { consulRegistry } from "./registry/registry.ts";
import { consulSync } from "./sync/sync.ts";

/**
 * The Consul driver for `createService({ drivers: [consul] })`: `consul://token@host:8500/fleet`,
 * and `consuls://` for TLS. The host is the agent of this machine, by default `127.0.0.1:8500`; the
 * token is optional. The path is the fleet, by default `micro`: sync and config have the keys below
 * their names in it, such as `micro/sync`. Parameters: `prefix`, the part of the configuration to
 * read, such as `shop` for the keys below `micro/config/shop`; `datacenter`; `timeout` and
 * `startTimeout` as durations (`5s`); for TLS `ca`, `cert` and `key`, the paths of PEM files.
 */
export const consul: Driver = {
  schemes: ["consul", "consuls"],
  open(url, context) {
    const { prefix, datacenter, timeout, startTimeout } = readParameters(url, {
      prefix: anyText,
      datacenter: anyText,
      timeout: durationText,
      startTimeout: durationText,
      ...pemPaths,
    });
    if (url.password !== undefined) {
      throw invalid("Consul takes a token and no password: consul://token@host");
    }
    const isEncrypted = url.scheme === "consuls";
    const link = new ConsulLink({
      address: `${isEncrypted ? "https" : "http"}://${url.hosts[0] ?? "127.0.0.1"}`,
      ...omitUndefined({
        token: url.username,
        datacenter,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...readTls(url, isEncrypted, "use consuls://"),
    });
    const fleet = url.path.replace(/^\/|\/$/g, "") || "micro";
    const config = `${fleet}/config${prefix === undefined ? "" : `/${prefix}`}`;
    return {
      registry: () => consulRegistry({ link }),
      sync: () => consulSync({ link, prefix: `${fleet}/sync` }),
      config: () => consulSource({ link, prefix: config }),
      close: () => link.close(),
    };
  },
};

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
