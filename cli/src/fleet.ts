import type { Client, Registry, Transport } from "@micro-es/runtime";

type Variables = Readonly<Record<string, string | undefined>>;

/** The ways to speak to an address; a service that is found by name says itself how. */
export const protocols = ["native", "grpc", "grpc-web", "connect"] as const;
export type Protocol = (typeof protocols)[number];

/** What commands find and call services with. What is never asked for is never opened. */
export interface Fleet extends AsyncDisposable {
  readonly registry: Registry;
  client(protocol?: Protocol): Client;
}

/**
 * Opens the registry that the environment names: NATS where there is a `MICRO_NATS_URL`, else what services use by
 * default, and clients over it.
 *
 * @throws MicroError `invalid_argument` for a variable that is not allowed.
 */
export async function openFleet(environment: Variables): Promise<Fleet> {
  const runtime = await import("@micro-es/runtime");
  const logger = runtime.createLogger({
    level: environment.MICRO_LOG_LEVEL === "debug" ? "debug" : "silent",
  });
  const made: { close(): Promise<void> }[] = [];
  const registry = await openRegistry(environment, made);
  return {
    registry,
    client(protocol = "grpc") {
      const transports: Transport[] = protocol === "native" ? [runtime.tcpTransport()] : [];
      if (protocol !== "native") {
        transports.push(runtime.tcpTransport(), runtime.httpTransport({ protocol }));
      }
      const client = runtime.createClient({ registry, transports, logger, environment });
      made.unshift(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const part of made.splice(0)) await part.close();
    },
  };
}

async function openRegistry(
  environment: Variables,
  made: { close(): Promise<void> }[],
): Promise<Registry> {
  const url = environment.MICRO_NATS_URL;
  if (url !== undefined && url !== "") {
    const { nats } = await import("@micro-es/runtime/nats");
    const parts = nats({ servers: url });
    made.push(...parts.owned);
    return parts.registry;
  }
  const { createService } = await import("@micro-es/runtime");
  // The one way to the parts that the environment chooses; this service is never started.
  const service = createService({ name: "micro-cli", environment });
  made.push(service);
  return service.registry;
}
