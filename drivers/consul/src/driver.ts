import { readFileSync } from "node:fs";
import { MicroError } from "@micro-es/runtime";
import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  readParameters,
} from "@micro-es/runtime/driver";
import { ConsulLink } from "./link/link.ts";
import type { ConsulTlsOptions } from "./link/options.ts";
import { consulRegistry } from "./registry/registry.ts";

/**
 * The Consul driver for `createService({ drivers: [consul] })`: `consul://token@host:8500`, and
 * `consuls://` for TLS. The host is the agent of this machine, by default `127.0.0.1:8500`; the
 * token is optional. Parameters: `datacenter`; `timeout` and `startTimeout` as durations (`5s`);
 * for TLS `ca`, `cert` and `key`, the paths of PEM files.
 */
export const consul: Driver = {
  schemes: ["consul", "consuls"],
  open(url, context) {
    const { datacenter, timeout, startTimeout, ca, cert, key } = readParameters(url, {
      datacenter: anyText,
      timeout: durationText,
      startTimeout: durationText,
      ca: anyText,
      cert: anyText,
      key: anyText,
    });
    if (url.password !== undefined) {
      throw invalid("Consul takes a token and no password: consul://token@host");
    }
    if (url.path !== "") throw invalid("the URL of a Consul agent has no path");
    const isEncrypted = url.scheme === "consuls";
    if (!isEncrypted && (ca ?? cert ?? key) !== undefined) {
      throw invalid("ca, cert and key are for TLS; use consuls://");
    }
    const files = omitUndefined({ ca, cert, key });
    const link = new ConsulLink({
      address: `${isEncrypted ? "https" : "http"}://${url.hosts[0] ?? "127.0.0.1"}`,
      ...omitUndefined({
        token: url.username,
        datacenter,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      ...(isEncrypted ? { tls: Object.keys(files).length === 0 ? true : read(files) } : {}),
    });
    return {
      registry: () => consulRegistry({ link }),
      close: () => link.close(),
    };
  },
};

function read(files: { readonly [K in keyof ConsulTlsOptions]?: string }): ConsulTlsOptions {
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
