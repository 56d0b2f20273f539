import { randomUUID } from "node:crypto";
import type { Broker } from "./broker/broker.ts";
import type { Debug } from "./debug/debug.ts";
import {
  DefaultParts,
  observedBy,
  type ServerAddressOptions,
  type ServerLimitOptions,
} from "./defaults.ts";
import { type EnvironmentValues, environmentVariables as variables } from "./environment.ts";
import type { Logger } from "./logger.ts";
import type { Registry } from "./registry/registry.ts";
import { buildServer, type ServerListen } from "./server/rpc-server.ts";
import type { Server, ServerInterceptor } from "./server/server.ts";
import { serviceName } from "./service-name.ts";

/**
 * What a lone server is made of; as in `ServiceOptions`, what is absent comes from the environment and then from
 * the defaults, and what is given stays its maker's to close.
 */
export interface ServerOptions extends ServerAddressOptions, ServerLimitOptions {
  /** Name that it is registered by. */
  readonly name?: string;
  /** Default `latest`. */
  readonly version?: string;
  /** Labels of its node that callers can choose by. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** All places where it listens, instead of `address` and `advertise`; the first is registered. */
  readonly listen?: readonly ServerListen[];
  /** Default: mDNS. */
  readonly registry?: Registry;
  /** Where its subscribers take their events from. Default: HTTP, point to point. */
  readonly broker?: Broker;
  /** Sees what the server does, and tells of it; as in `ServiceOptions`. */
  readonly debug?: Debug;
  /** Around every call, the first outermost. */
  readonly interceptors?: readonly ServerInterceptor[];
  /** Keys of incoming metadata that go along with calls and events made on behalf of a call. */
  readonly propagate?: readonly string[];
  /** Default: lines on standard error, from `info` on. */
  readonly logger?: Logger;
  /** Where the variables are. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/**
 * Makes a server for a program that is nothing else and sees to its own start and stop. A program that is a
 * service among others uses `createService`, which also handles signals.
 *
 * @throws MicroError `invalid_argument` when it has no name, or an option or a variable is not allowed.
 */
export function createServer(options: ServerOptions = {}): Server {
  const values = options.environment ?? process.env;
  const name = serviceName(options.name, values);
  const parts = new DefaultParts(values, { service: name });
  const { debug } = options;
  const id = randomUUID();
  const version = options.version ?? parts.read(variables.version) ?? "latest";
  const logger = parts.loggerOf(options);
  const registry = options.registry ?? parts.registry(logger);
  const listen = options.listen ?? [parts.listen(options, parts.transport)];
  const broker = options.broker ?? parts.broker(registry, listen[0]?.address ?? "", logger);
  const server = buildServer({
    name,
    id,
    version,
    metadata: options.metadata ?? parts.read(variables.metadata) ?? {},
    listen,
    registry,
    broker,
    logger,
    interceptors: options.interceptors ?? [],
    propagate: options.propagate ?? [],
    ...parts.limits(options),
    ...observedBy(debug),
    owned: debug === undefined ? parts.made : [debug, ...parts.made],
  });
  debug?.register({ name, version, nodeId: `${name}-${id}`, server });
  return server;
}
