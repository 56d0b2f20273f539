import { readFileSync } from "node:fs";
import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type BackendUrl,
  type Driver,
  durationText,
  omitUndefined,
  readParameters,
} from "@micro-es/runtime/driver";
import { EtcdLink } from "./link/link.ts";
import type { EtcdTlsOptions } from "./link/options.ts";
import { etcdRegistry } from "./registry/registry.ts";

/**
 * The etcd driver for `createService({ drivers: [etcd] })`:
 * `etcd://user:password@a:2379,b:2379/prefix`, and `etcds://` for TLS. The path is the prefix of
 * all keys, by default `/micro/registry`. Parameters: `timeout` and `startTimeout` as durations
 * (`5s`); for TLS `ca`, `cert` and `key`, the paths of PEM files.
 */
export const etcd: Driver = {
  schemes: ["etcd", "etcds"],
  severalHosts: true,
  open(url, context) {
    const { timeout, startTimeout, ca, cert, key } = readParameters(url, {
      timeout: durationText,
      startTimeout: durationText,
      ca: anyText,
      cert: anyText,
      key: anyText,
    });
    const isEncrypted = url.scheme === "etcds";
    if (!isEncrypted && (ca ?? cert ?? key) !== undefined) {
      throw invalid("ca, cert and key are for TLS; use etcds://");
    }
    const files = omitUndefined({ ca, cert, key });
    const link = new EtcdLink({
      ...omitUndefined({
        endpoints: endpointsOf(url, isEncrypted ? "https" : "http"),
        user: url.username,
        password: url.password,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...(isEncrypted ? { tls: Object.keys(files).length === 0 ? true : read(files) } : {}),
    });
    const prefix = url.path.replace(/\/$/, "");
    return {
      registry: () => etcdRegistry({ link, ...(prefix === "" ? {} : { prefix }) }),
      close: () => link.close(),
    };
  },
};

function endpointsOf({ hosts }: BackendUrl, scheme: string): readonly string[] | undefined {
  if (hosts.length === 0) return scheme === "https" ? [`${scheme}://127.0.0.1:2379`] : undefined;
  return hosts.map((host) => `${scheme}://${host}`);
}

function read(files: { readonly [K in keyof EtcdTlsOptions]?: string }): EtcdTlsOptions {
  const contents = Object.entries(files).map(([name, path]) => {
    try {
      return [name, readFileSync(path, "utf8")];
    } catch (cause) {
      throw invalid(`cannot read the file of ${name}: ${(cause as Error).message}`, cause);
    }
  });
  return Object.fromEntries(contents);
}

function invalid(message: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed", cause });
}
