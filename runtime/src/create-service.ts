import { randomUUID } from "node:crypto";
import { DefaultParts, observedBy } from "./defaults.ts";
import { misspelled, environmentVariables as variables } from "./environment.ts";
import { buildServer } from "./server/rpc-server.ts";
import type { Service, ServiceOptions } from "./service.ts";
import { RunningService } from "./service-lifecycle.ts";
import { serviceName } from "./service-name.ts";

/**
 * Makes a service out of its options, the environment and the embedded defaults.
 *
 * @throws MicroError `invalid_argument` when it has no name, or an option or a variable is not allowed.
 */
export function createService(options: ServiceOptions = {}): Service {
  const values = options.environment ?? process.env;
  const name = serviceName(options.name, values);
  const parts = new DefaultParts(values, { service: name });
  const id = randomUUID();
  const version = options.version ?? parts.read(variables.version) ?? "latest";
  const { debug } = options;
  const logger = parts.loggerOf(options);
  for (const hint of misspelled(values)) logger.warn({}, hint);
  const registry = options.registry ?? parts.registry(logger);
  const transports = options.transports ?? parts.transports;
  const listen = options.listen ?? [parts.listen(options, transports[0] ?? parts.transport)];
  const broker = options.broker ?? parts.broker(registry, listen[0]?.address ?? "", logger);
  const store = options.store ?? parts.store();
  const sync = options.sync ?? parts.sync();
  const client =
    options.client ??
    parts.client({
      registry,
      transports,
      logger,
      selector: options.selector,
      interceptors: options.clientInterceptors,
      timeoutMs: options.timeoutMs,
    });
  const server = buildServer({
    name,
    id,
    version,
    listen,
    registry,
    broker,
    client,
    logger,
    metadata: options.metadata ?? parts.read(variables.metadata) ?? {},
    interceptors: options.serverInterceptors ?? [],
    propagate: options.propagate ?? [],
    ...parts.limits(options),
    ...observedBy(debug),
  });
  debug?.register({ name, version, nodeId: `${name}-${id}`, server });
  return new RunningService({
    name,
    version,
    id,
    server,
    listen,
    client,
    broker,
    registry,
    store,
    sync,
    logger,
    config: options.config,
    graceMs: options.graceMs ?? parts.read(variables.grace) ?? 10_000,
    require: options.require ?? {},
    owned: [...(debug === undefined ? [] : [debug]), ...parts.made, ...(options.owned ?? [])],
  });
}
