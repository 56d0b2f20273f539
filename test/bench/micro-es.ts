import type {
  CallOptions,
  Client,
  ClientInterceptor,
  CredentialSource,
  Debug,
  ServerInterceptor,
  Transport,
} from "@micro-es/runtime";
import { createClient, createServer, memoryRegistry, silentLogger } from "@micro-es/runtime";
import type { Auth } from "@micro-es/runtime/auth";
import type { ServerMessageInterceptor } from "../../runtime/src/server/server.ts";
import type { BenchCaller, BenchServer } from "./contender.ts";
import type * as fast from "./gen/micro/bench/v1/bench_micro.ts";

/** The setup of one of our contenders; everything else has its defaults. */
export interface Setup {
  /** The generated code of the service, with either kind of codecs. */
  readonly generated: Pick<typeof fast, "createBenchServiceClient" | "registerBenchServiceHandler">;
  readonly transport: Transport;
  readonly serverInterceptors?: readonly ServerInterceptor[];
  /** Observes every call of the server. */
  readonly debug?: () => Debug;
  readonly clientInterceptors?: readonly ClientInterceptor[];
  /** Verifies callers; every account may call. */
  readonly auth?: Auth;
  readonly credentials?: CredentialSource;
  /** Passed to every unary call. */
  readonly options?: CallOptions;
}

/** Interceptors that only pass on, in the form that sees messages. */
export const passingOnClient: ClientInterceptor = {
  unary: (_call, request, next) => next(request),
  stream: (_call, requests, next) => next(requests),
};
export const passingOnServer: ServerMessageInterceptor = {
  unary: (_context, request, next) => next(request),
  stream: (_context, requests, next) => next(requests),
  event: (_context, message, next) => next(message),
};

/** What a user writes: a class that implements the generated interface. */
class Bench implements fast.BenchServiceHandler {
  async echo(request: { payload: Uint8Array; number: number }) {
    return request;
  }
  async *download({ payload, number }: { payload: Uint8Array; number: number }) {
    for (let index = 1; index <= number; index++) yield { payload, number: index };
  }
  async *pingPong(requests: AsyncIterable<{ payload: Uint8Array; number: number }>) {
    for await (const request of requests) yield request;
  }
}

const registry = memoryRegistry();

/** A server of one of our contenders. */
export async function serveOn(setup: Setup, address = "127.0.0.1:0"): Promise<BenchServer> {
  const server = createServer({
    name: "bench",
    registry,
    listen: [{ transport: setup.transport, address }],
    interceptors: setup.serverInterceptors ?? [],
    ...(setup.debug === undefined ? {} : { debug: setup.debug() }),
    ...(setup.auth !== undefined && {
      auth: setup.auth,
      access: { unspecified: "account" as const },
    }),
    logger: silentLogger,
  });
  setup.generated.registerBenchServiceHandler(server, new Bench());
  await server.start();
  return { address: server.addresses[0] ?? "", close: () => server.close() };
}

/** The full path: a generated client that calls by service name through the selector. */
export async function callOver(setup: Setup, address: string): Promise<BenchCaller> {
  const { transport, options } = setup;
  await registry.register({
    id: "bench-1",
    service: "bench",
    version: "1",
    address,
    metadata: { protocol: transport.protocol, transport: transport.name },
    endpoints: [],
  });
  const parts = {
    registry,
    transports: [transport],
    interceptors: setup.clientInterceptors ?? [],
    ...(setup.credentials !== undefined && { credentials: setup.credentials }),
  };
  const client: Client = createClient(parts);
  const bench = setup.generated.createBenchServiceClient(client);
  return {
    unary: (payload) => bench.echo({ payload }, options),
    async download(payload, count) {
      let came = 0;
      for await (const _ of bench.download({ payload, number: count })) came++;
      return came;
    },
    async pingPong(payload, count) {
      let answered = () => {};
      async function* requests() {
        for (let index = 0; index < count; index++) {
          const answer = new Promise<void>((resolve) => {
            answered = resolve;
          });
          yield { payload };
          await answer;
        }
      }
      let came = 0;
      for await (const _ of bench.pingPong(requests())) {
        came++;
        answered();
      }
      return came;
    },
    async connectOnce() {
      const fresh = createClient(parts);
      await setup.generated.createBenchServiceClient(fresh).echo({ payload: new Uint8Array(64) });
      await fresh.close();
    },
    async close() {
      await client.close();
    },
  };
}
