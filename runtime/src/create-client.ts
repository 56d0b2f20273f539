import type { Client } from "./client/client.ts";
import { buildClient, type ClientParts } from "./client/rpc-client.ts";
import { DefaultParts } from "./defaults.ts";
import { type EnvironmentValues, environmentVariables as variables } from "./environment.ts";
import { given } from "./given.ts";
import type { Registry } from "./registry/registry.ts";
import type { Selector } from "./selector/selector.ts";
import type { Transport } from "./transport/transport.ts";

/**
 * What a lone client is made of; what is absent comes from the environment and then from the defaults, and what is
 * given stays its maker's to close.
 */
export interface ClientOptions extends Omit<ClientParts, "selector" | "transports" | "owned"> {
  /** Where services are found. Default: mDNS, which opens with the first call by name. */
  readonly registry?: Registry;
  /** Default: power of two choices by latency and load, over the registry. */
  readonly selector?: Selector;
  /** What calls go out by. Default: native over TCP, and gRPC for URLs and for nodes that speak it. */
  readonly transports?: readonly Transport[];
  /** Where the variables are. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/**
 * Makes a client for a program that is no service itself. It opens nothing before its first call.
 *
 * @throws MicroError `invalid_argument` when a variable is not allowed.
 */
export function createClient(options: ClientOptions = {}): Client {
  const { environment, registry, selector, transports, ...rest } = options;
  const parts = new DefaultParts(environment ?? process.env);
  const logger = rest.logger ?? parts.logger;
  const chosen = selector ?? parts.selector(registry ?? parts.registry(logger), logger);
  const timeoutMs = rest.timeoutMs ?? parts.read(variables.timeout);
  return buildClient({
    ...rest,
    logger,
    selector: chosen,
    transports: transports ?? parts.transports,
    ...given({ timeoutMs }),
    owned: parts.made,
  });
}
