import type { Logger, Registry } from "@micro-es/runtime";
import {
  checkOptions,
  FollowedRegistry,
  type Following,
  logger,
  type NodeBackend,
  type NodeFollower,
  type RegistrationClaim,
} from "@micro-es/runtime/driver";
import { consulFailure } from "../link/failure.ts";
import { maxWaits } from "../link/http.ts";
import { consulPartKinds } from "../link/options.ts";
import { ConsulPart, type ConsulPartOptions } from "../link/part.ts";
import { FollowedService } from "./followed-service.ts";
import { readNames } from "./names.ts";
import { ConsulRegistration } from "./registration.ts";

/** How a {@link consulRegistry} connects. */
export type ConsulRegistryOptions = ConsulPartOptions & {
  readonly logger?: Logger;
};

/** How long a query waits when more services are followed than there are connections for it. */
const sharedWaitMs = 1_000;

/**
 * A registry in Consul (1.8 and later). A node is a service of the agent with a TTL check that its
 * process renews; a process that requests a service follows its nodes with a blocking query, so
 * `get` is served from memory. While Consul is unavailable, every process keeps the last known
 * state. Services are those of go-micro, so services written in Go can be discovered and can
 * discover these.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { consulRegistry } from "@micro-es/consul";
 * import { createService } from "@micro-es/runtime";
 *
 * const service = createService({
 *   name: "greeter",
 *   registry: consulRegistry({ address: "http://127.0.0.1:8500" }),
 * });
 * ```
 */
export function consulRegistry(options: ConsulRegistryOptions = {}): Registry {
  checkOptions("consulRegistry", options, { ...consulPartKinds, logger });
  return new FollowedRegistry(new ConsulNodes(options), options.logger);
}

/** The services of agents that are nodes. */
class ConsulNodes extends ConsulPart implements NodeBackend {
  readonly name = "consul";
  readonly expiry = "backend";
  readonly failure = consulFailure;
  readonly #services = new Map<string, FollowedService>();

  constructor({ logger: _, ...options }: ConsulRegistryOptions) {
    super(options, "registry");
  }

  follow(service: string, follower: NodeFollower, logger: Logger): Following {
    const waitMs = () => (this.#services.size > maxWaits ? sharedWaitMs : this.link.waitMs);
    const onClose = () => this.#services.delete(service);
    const followed = new FollowedService(this.link, service, follower, logger, waitMs, onClose);
    this.#services.set(service, followed);
    return followed;
  }

  names(what: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    return readNames(this.link, what, signal);
  }

  registration(claim: RegistrationClaim): ConsulRegistration {
    const { service } = claim.node;
    return new ConsulRegistration(claim, this.link, () => this.#services.get(service));
  }
}
