import type { Broker, Client, Registry, Service, Store, Sync, Transport } from "@micro-es/runtime";
import { clientCredentials } from "./auth/client-credentials.ts";
import type { TokenOptions } from "./auth/token-options.ts";
import { UsageError } from "./errors.ts";
import type { Protocol } from "./protocols.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** The backends of commands. A part that is not used is never opened. */
export interface BackendParts extends AsyncDisposable {
  readonly registry: Registry;
  readonly broker: Broker;
  /** @throws UsageError if the environment has no store that other processes can access. */
  readonly store: Store;
  /** @throws UsageError if the environment has no sync that other processes can access. */
  readonly sync: Sync;
  client(protocol?: Protocol): Client;
}

/**
 * The parts that the environment names, as a service in it has them with `await loadDrivers()`. Its
 * clients present the token of the options or the environment, if there is one.
 *
 * @throws UsageError for a file of a token that cannot be read; MicroError `invalid_argument` for
 * an invalid variable.
 */
export async function openBackendParts(
  environment: Variables,
  options: TokenOptions = {},
): Promise<BackendParts> {
  const { createClient, createLogger, tcpTransport } = await import("@micro-es/runtime");
  const { anyHttpTransport } = await import("./any-http.ts");
  const level = environment.MICRO_LOG_LEVEL === "debug" ? "debug" : "silent";
  const logger = createLogger({ level });
  const presented = await clientCredentials(options, environment);
  const service = await serviceOf(environment);
  const clients: Client[] = [];
  return {
    registry: service.registry,
    broker: service.broker,
    get store() {
      const { sharing } = service.store.guarantees;
      if (sharing === "process" && environment.MICRO_STORE?.startsWith("file:") !== true) {
        throw new UsageError(
          "each service keeps its store in its own memory, which no other process can read; with MICRO_STORE or MICRO_BACKEND set to the URL of a backend, services and micro share one. MICRO_STORE=file:path opens a store in a folder, but only while no service has it open",
        );
      }
      return service.store;
    },
    get sync() {
      if (service.sync.guarantees.reach === "process") {
        throw new UsageError(
          "each service keeps its locks and elections in its own memory, which no other process can read; set MICRO_SYNC=file:path or MICRO_BACKEND=url for services and micro to share them",
        );
      }
      return service.sync;
    },
    client(protocol = "grpc") {
      const native = service.transports.filter((it) => it.protocol === "native");
      const transports: Transport[] = [tcpTransport(), ...native];
      if (protocol !== "native") transports.push(anyHttpTransport(protocol));
      const client = createClient({
        registry: service.registry,
        transports,
        logger,
        environment,
        ...presented,
      });
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      try {
        await Promise.all(clients.splice(0).map((client) => client.close()));
      } finally {
        await service.close();
      }
    },
  };
}

/** A service of the environment, which is never started: the one way to its parts. */
async function serviceOf(environment: Variables): Promise<Service> {
  const { createLogger, createService, loadDrivers } = await import("@micro-es/runtime");
  const { retiredVariables } = await import("@micro-es/runtime/environment");
  for (const [name, instead] of Object.entries(retiredVariables)) {
    if (environment[name]) throw new UsageError(`${name} is no longer read; ${instead}`);
  }
  return createService({
    name: "micro-cli",
    drivers: await loadDrivers({ environment }),
    environment: withoutWaiting(environment),
    logger: createLogger({ level: "silent" }),
  });
}

/** Commands report an unavailable backend at once, because a user waits for them. */
export function withoutWaiting(environment: Variables): Variables {
  return { ...environment, MICRO_START_TIMEOUT: environment.MICRO_START_TIMEOUT || "0s" };
}
