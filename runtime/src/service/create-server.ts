import { randomUUID } from "node:crypto";
import type { AccessOptions } from "../auth/access-control.ts";
import type { Auth } from "../auth/auth.ts";
import type { Logger } from "../base/logger.ts";
import { omitUndefined } from "../base/omit-undefined.ts";
import { checkOptions, list } from "../base/option-check.ts";
import { owned } from "../base/option-kinds.ts";
import { shareLogger } from "../base/part-logger.ts";
import type { Broker } from "../broker/broker.ts";
import type { EventsOptions } from "../broker/signed-events/events-options.ts";
import type { Debug } from "../debug/debug.ts";
import type { Registry } from "../registry/registry.ts";
import { buildServer, type ServerListen } from "../server/rpc-server.ts";
import type { Server, ServerInterceptor } from "../server/server.ts";
import {
  ChosenParts,
  observedBy,
  type ServerAddressOptions,
  type ServerLimitOptions,
} from "./chosen-parts.ts";
import type { Driver } from "./driver.ts";
import { type EnvironmentValues, environmentVariables as variables } from "./environment.ts";
import { serviceName } from "./service-name.ts";
import { programKinds } from "./service-option-kinds.ts";

/**
 * Options of a standalone server. As in `ServiceOptions`, absent ones come from the environment and
 * then from the defaults, and parts passed here are closed by the caller.
 */
export interface ServerOptions extends ServerAddressOptions, ServerLimitOptions {
  /** Name under which it is registered. */
  readonly name?: string;
  /** Default `latest`. */
  readonly version?: string;
  /** Labels of its node that callers can select by. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** All places where it listens, instead of `address` and `advertise`; the first is registered. */
  readonly listen?: readonly ServerListen[];
  /** Default: mDNS. */
  readonly registry?: Registry;
  /** The broker of its subscribers. Default: HTTP, point to point. */
  readonly broker?: Broker;
  /**
   * Signs the events that it publishes, and verifies those that it receives; handlers then see who
   * published an event (`context.account`). Rules of type `topic` in {@link access} apply. Default:
   * events are neither signed nor verified. With {@link auth}, subscribing where other machines
   * reach the port of the broker needs `verify`.
   */
  readonly events?: EventsOptions;
  /** Observes the server and exposes what it sees; as in `ServiceOptions`. */
  readonly debug?: Debug;
  /** Wrap every incoming call and every event of a subscriber, the first outermost. */
  readonly interceptors?: readonly ServerInterceptor[];
  /**
   * Verifies who calls: the account and the scopes that the schema requires
   * (`micro.v1.method.auth`) are then enforced on every protocol, and calls of methods about which
   * neither the schema nor {@link access} says anything are refused. docs/auth.md explains it.
   *
   * `false` starts the server although its schema restricts callers and nothing enforces that.
   * Without either, such a server does not start.
   */
  readonly auth?: Auth | false;
  /** What decides about callers in addition to the schema; only with {@link auth}. */
  readonly access?: AccessOptions;
  /** Keys of incoming metadata to forward with calls and events made on behalf of a call. */
  readonly propagate?: readonly string[];
  /** Default: lines on standard error, from level `info`. */
  readonly logger?: Logger;
  /** Resources for this server only that are closed with it, in this order, after its own parts. */
  readonly owned?: readonly { close(): Promise<void> }[];
  /** Backends that variables such as `MICRO_REGISTRY` may name; as in `ServiceOptions`. */
  readonly drivers?: readonly Driver[];
  /** The environment variables. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/**
 * Creates a server for a program that manages its own start and stop. For a full service, use
 * `createService`, which also handles signals.
 *
 * @throws MicroError `invalid_argument` when it has no name, an option or a variable is not
 * allowed, or a variable names a backend without a driver in `drivers`.
 *
 * @example
 * ```ts
 * import { createServer } from "@micro-es/runtime";
 * import { type GreeterHandler, registerGreeterHandler } from "./gen/greeter/v1/greeter_micro.js";
 *
 * declare const greeter: GreeterHandler;
 * const server = createServer({ name: "greeter", address: "127.0.0.1:8080" });
 * registerGreeterHandler(server, greeter);
 * await server.start();
 * ```
 */
export function createServer(options: ServerOptions = {}): Server {
  checkOptions("createServer", options, { ...programKinds, interceptors: list, owned });
  const name = serviceName(options.name, options.environment ?? process.env);
  const parts = new ChosenParts(options, name);
  return parts.use(() => makeServer(name, options, parts));
}

function makeServer(name: string, options: ServerOptions, parts: ChosenParts): Server {
  const { debug } = options;
  const id = randomUUID();
  const version = options.version ?? parts.read(variables.version) ?? "latest";
  const { logger, registry, listen, broker } = parts;
  shareLogger(logger, [
    registry,
    broker,
    ...listen.map(({ transport }) => transport),
    options.auth || undefined,
    options.access?.rules,
  ]);
  const debugToken = parts.read(variables.debugToken);
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
    ...omitUndefined({ auth: options.auth, access: options.access }),
    ...parts.limits,
    ...parts.listenWarning,
    ...observedBy(debug, debugToken),
    owned: [...(debug === undefined ? [] : [debug]), ...parts.made, ...(options.owned ?? [])],
  });
  debug?.register({ name, version, nodeId: `${name}-${id}`, server, logger, debugToken });
  return server;
}
