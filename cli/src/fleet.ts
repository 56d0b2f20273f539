import type { Broker, Client, Registry, Service, Store, Sync, Transport } from "@micro-es/runtime";
import { UsageError } from "./command.ts";
import type { Protocol } from "./protocols.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** What commands find, call and look at. What is never asked for is never opened. */
export interface Fleet extends AsyncDisposable {
  readonly registry: Registry;
  readonly broker: Broker;
  /** @throws UsageError where the environment names no store that another process could see. */
  readonly store: Store;
  /** @throws UsageError where the environment names no sync that another process could see. */
  readonly sync: Sync;
  client(protocol?: Protocol): Client;
}

/**
 * The parts that the environment names, as a service of it would have them: on NATS where there is a `MICRO_NATS_URL`,
 * else those that come with the runtime.
 *
 * @throws MicroError `invalid_argument` for a variable that is not allowed.
 */
export async function openFleet(environment: Variables): Promise<Fleet> {
  const { createClient, createLogger, tcpTransport } = await import("@micro-es/runtime");
  const { anyHttpTransport } = await import("./any-http.ts");
  const level = environment.MICRO_LOG_LEVEL === "debug" ? "debug" : "silent";
  const logger = createLogger({ level });
  const { service, transports: others } = await partsOf(environment);
  const clients: Client[] = [];
  return {
    registry: service.registry,
    broker: service.broker,
    get store() {
      const { sharing } = service.store.guarantees;
      if (sharing === "process" && environment.MICRO_STORE?.startsWith("file:") !== true) {
        throw new UsageError(
          "the store is in the memory of each service, where nobody else sees it; MICRO_NATS_URL or MICRO_STORE=file:path names one that can be looked at",
        );
      }
      return service.store;
    },
    get sync() {
      if (service.sync.guarantees.reach === "process") {
        throw new UsageError(
          "locks and elections are in the memory of each service, where nobody else sees them; MICRO_NATS_URL or MICRO_SYNC=file:path names a place that can be looked at",
        );
      }
      return service.sync;
    },
    client(protocol = "grpc") {
      const transports: Transport[] = [tcpTransport(), ...others];
      if (protocol !== "native") transports.push(anyHttpTransport(protocol));
      const client = createClient({ registry: service.registry, transports, logger, environment });
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients.splice(0)) await client.close();
      await service.close();
    },
  };
}

/** What the environment chooses. */
interface Parts {
  /** It is never started, and the one way to its parts. */
  readonly service: Service;
  /** Those by which only some fleets can be called. */
  readonly transports: readonly Transport[];
}

async function partsOf(environment: Variables): Promise<Parts> {
  const { createLogger, createService } = await import("@micro-es/runtime");
  const logger = createLogger({ level: "silent" });
  const servers = environment.MICRO_NATS_URL;
  const options = { name: "micro-cli", environment, logger };
  if (servers === undefined || servers === "") {
    return { service: createService(options), transports: [] };
  }
  const { NatsLink, nats } = await import("@micro-es/runtime/nats");
  const { natsTransport } = await import("@micro-es/runtime/transport/nats");
  const link = new NatsLink({ servers });
  const { owned, ...parts } = nats({ link, logger });
  const service = createService({ ...options, ...parts, owned: [...owned, link] });
  return { service, transports: [natsTransport({ link })] };
}
