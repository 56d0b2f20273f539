import { omitUndefined } from "../base/omit-undefined.ts";
import { checkOptions, object } from "../base/option-check.ts";
import {
  drivers as driversKind,
  registry as registryKind,
  selector as selectorKind,
  transports as transportsKind,
} from "../base/option-kinds.ts";
import { shareLogger } from "../base/part-logger.ts";
import type { Client } from "../client/client.ts";
import { clientLimitKinds } from "../client/option-kinds.ts";
import { buildClient, type ClientParts } from "../client/rpc-client.ts";
import type { Registry } from "../registry/registry.ts";
import type { Selector } from "../selector/selector.ts";
import type { Transport } from "../transport/transport.ts";
import { ChosenParts } from "./chosen-parts.ts";
import type { Driver } from "./driver.ts";
import { type EnvironmentValues, environmentVariables as variables } from "./environment.ts";

/**
 * Options of a standalone client. Absent ones come from the environment and then from the defaults.
 * Parts passed here are closed by the caller, unless they are listed in `owned`.
 */
export interface ClientOptions extends Omit<ClientParts, "selector" | "transports" | "owned"> {
  /** Finds services. Default: mDNS, which opens with the first call by name. */
  readonly registry?: Registry;
  /** Default: power of two choices by latency and load, over the registry. */
  readonly selector?: Selector;
  /**
   * The transports of outgoing calls. Default: native over TCP, and gRPC for URLs and for nodes
   * that speak it.
   */
  readonly transports?: readonly Transport[];
  /**
   * Resources for this client only that are closed with it, in this order, after its own parts; as
   * in `ServiceOptions`. `createClient({ ...natsParts() })` passes the parts on NATS and their
   * connection.
   */
  readonly owned?: readonly { close(): Promise<void> }[];
  /** Backends that `MICRO_REGISTRY` and `MICRO_BACKEND` may name; as in `ServiceOptions`. */
  readonly drivers?: readonly Driver[];
  /** The environment variables. Default `process.env`. */
  readonly environment?: EnvironmentValues;
}

/**
 * Creates a client for a program that is not itself a service. It opens nothing before its first
 * call.
 *
 * @throws MicroError `invalid_argument` when an option or a variable is not allowed, or a variable
 * names a backend without a driver in `drivers`.
 *
 * @example
 * ```ts
 * import { createClient } from "@micro-es/runtime";
 * import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * await using client = createClient();
 * const { message } = await createGreeterClient(client).hello({ name: "Ada" });
 * ```
 */
export function createClient(options: ClientOptions = {}): Client {
  checkOptions("createClient", options, {
    registry: registryKind,
    selector: selectorKind,
    transports: transportsKind,
    drivers: driversKind,
    environment: object,
    ...clientLimitKinds,
  });
  const { environment, drivers, registry, selector, transports, owned = [], ...rest } = options;
  const parts = new ChosenParts(options);
  return parts.use(() => {
    shareLogger(parts.logger, [parts.registryOfSelector, selector, ...parts.transports]);
    const timeoutMs = rest.timeoutMs ?? parts.read(variables.timeout);
    return buildClient({
      ...rest,
      logger: parts.logger,
      selector: parts.selector,
      transports: parts.transports,
      ...omitUndefined({ timeoutMs }),
      owned: [...parts.made, ...owned],
    });
  });
}
