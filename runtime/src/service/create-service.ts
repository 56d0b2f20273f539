import { randomUUID } from "node:crypto";
import { omitUndefined } from "../base/omit-undefined.ts";
import { checkOptions } from "../base/option-check.ts";
import { shareLogger } from "../base/part-logger.ts";
import { buildServer } from "../server/rpc-server.ts";
import { ChosenParts, observedBy } from "./chosen-parts.ts";
import { suggestMisspelled, environmentVariables as variables } from "./environment.ts";
import { RunningService } from "./running-service.ts";
import type { Service, ServiceOptions } from "./service.ts";
import { serviceName } from "./service-name.ts";
import { serviceKinds } from "./service-option-kinds.ts";

/**
 * Creates a service from its options, the environment and the built-in defaults.
 *
 * @throws MicroError `invalid_argument` when it has no name, an option or a variable is not
 * allowed, or a variable names a backend without a driver in `drivers`.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { type GreeterHandler, registerGreeterHandler } from "./gen/greeter/v1/greeter_micro.js";
 *
 * declare const greeter: GreeterHandler;
 * const service = createService({ name: "greeter" });
 * registerGreeterHandler(service.server, greeter);
 * await service.run();
 * ```
 */
export function createService(options: ServiceOptions = {}): Service {
  checkOptions("createService", options, serviceKinds);
  const name = serviceName(options.name, options.environment ?? process.env);
  const parts = new ChosenParts(options, name);
  return parts.use(() => makeService(name, options, parts));
}

function makeService(name: string, options: ServiceOptions, parts: ChosenParts): Service {
  const id = randomUUID();
  const version = options.version ?? parts.read(variables.version) ?? "latest";
  const { debug, selector, owned = [] } = options;
  const { logger, registry, transports, listen, broker, store, sync, client, config } = parts;
  for (const hint of suggestMisspelled(parts.values)) logger.warn({}, hint);
  const carriers = [...transports, ...listen.map(({ transport }) => transport)];
  shareLogger(logger, [
    registry,
    broker,
    store,
    sync,
    selector,
    client,
    config,
    ...carriers,
    options.auth || undefined,
    options.access?.rules,
    ...owned,
  ]);
  const debugToken = parts.read(variables.debugToken);
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
    ...omitUndefined({ auth: options.auth, access: options.access }),
    ...parts.limits,
    ...parts.listenWarning,
    ...observedBy(debug, debugToken),
  });
  const graceMs = options.graceMs ?? parts.read(variables.grace) ?? 10_000;
  debug?.register({ name, version, nodeId: `${name}-${id}`, server, logger, debugToken });
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
    transports,
    logger,
    config,
    access: omitUndefined({ auth: options.auth || undefined, rules: options.access?.rules }),
    graceMs,
    require: options.require ?? {},
    owned: [...(debug === undefined ? [] : [debug]), ...parts.made, ...owned],
  });
}
