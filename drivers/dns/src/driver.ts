import {
  anyText,
  type Driver,
  durationText,
  flagText,
  omitUndefined,
  portText,
  readParameters,
} from "@micro-es/runtime/driver";
import { dnsRegistry } from "./registry/registry.ts";

/**
 * The DNS driver for `createService({ drivers: [dns] })`: `dns:shop.svc.cluster.local?port=8080`,
 * or `dns://10.0.0.2,10.0.0.3:8600/service.consul` with DNS servers to ask. The path is the domain
 * of the services. Parameters: `name`, the name of a service with `{service}` and `{domain}` in it;
 * `port`, to look up addresses instead of SRV records; `protocol`, what the servers speak if not
 * the native protocol, such as `grpc`; `tcp=true` to ask by TCP only; `startTimeout` as a duration.
 */
export const dns: Driver = {
  schemes: ["dns"],
  severalHosts: true,
  open(url, context) {
    const { name, port, protocol, tcp, startTimeout } = readParameters(url, {
      name: anyText,
      port: portText,
      protocol: anyText,
      tcp: flagText,
      startTimeout: durationText,
    });
    const domain = url.path.replace(/^\//, "");
    return {
      registry: () =>
        dnsRegistry(
          omitUndefined({
            domain: domain === "" ? undefined : domain,
            name,
            port,
            tcp,
            servers: url.hosts.length === 0 ? undefined : url.hosts,
            metadata: protocol === undefined ? undefined : { protocol },
            startTimeoutMs: startTimeout ?? context.startTimeoutMs,
          }),
        ),
      close: async () => {},
    };
  },
};
