import { once } from "node:events";
import { connect as connectTo } from "node:net";
import {
  asMicroError,
  type CallOptions,
  type Client,
  createClient,
  goMicroTransport,
  httpTransport,
  memoryRegistry,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { staticToken } from "@micro-es/runtime/auth";
import {
  createGuardedServiceClient,
  type GuardedServiceClient,
} from "../../gen/micro/test/v1/guarded_micro.ts";

/** Code of a failed call; undefined if it succeeded. */
export type TokenResult = string | undefined;

/** Calls a public method with a token, whatever characters that has. */
export type TokenCaller = (token: string) => Promise<TokenResult>;

/** Callers by the protocol that they speak. */
export interface TokenCallers extends AsyncDisposable {
  readonly all: Readonly<Record<string, TokenCaller>>;
}

/** How a client speaks the six protocols of a port. */
export const transportsOf: Readonly<Record<string, () => Transport>> = {
  native: () => tcpTransport(),
  gRPC: () => httpTransport(),
  "gRPC-Web": () => httpTransport({ protocol: "grpc-web" }),
  Connect: () => httpTransport({ protocol: "connect" }),
  "HTTP/JSON": () => httpTransport({ protocol: "connect", httpVersion: "1.1", encoding: "json" }),
  "go-micro": () => goMicroTransport(),
};

/**
 * Callers by six protocols, and natively by CREDENTIAL as well. A token with characters that our
 * clients do not send goes over HTTP/1.1, in a request that is written by hand.
 */
export function tokenCallers(address: string): TokenCallers {
  const connections: RenewedClient[] = [];
  const callerBy = (transport: () => Transport, present: (token: string) => CallOptions) => {
    const client = new RenewedClient(transport);
    connections.push(client);
    return async (token: string): Promise<TokenResult> => {
      if (!/^[\x21-\x7e]{1,8192}$/.test(token)) return byHand(address, token);
      return client.call((guarded) =>
        guarded.about({}, { address, timeoutMs: 60_000, retry: false, ...present(token) }),
      );
    };
  };
  const byMetadata = (token: string) => ({ metadata: { authorization: `Bearer ${token}` } });
  const ways = Object.entries(transportsOf).map(
    ([protocol, transport]) => [protocol, callerBy(transport, byMetadata)] as const,
  );
  const presenting = (token: string) => ({
    credentials: staticToken(token, { services: "any" }),
  });
  return {
    all: {
      ...Object.fromEntries(ways),
      "native by CREDENTIAL": callerBy(() => tcpTransport(), presenting),
    },
    async [Symbol.asyncDispose]() {
      for (const client of connections) await client.close();
    },
  };
}

/**
 * A client that is replaced when its connections have presented so many invalid tokens that the
 * server verifies no further one of them.
 */
class RenewedClient {
  readonly #transport: () => Transport;
  #current: { readonly client: Client; open: number };

  constructor(transport: () => Transport) {
    this.#transport = transport;
    this.#current = this.#create();
  }

  async call(make: (guarded: GuardedServiceClient) => Promise<unknown>): Promise<TokenResult> {
    for (;;) {
      const current = this.#current;
      current.open++;
      const code = await make(createGuardedServiceClient(current.client)).then(
        () => undefined,
        (reason) => asMicroError(reason).code,
      );
      current.open--;
      const isWornOut = code === "resource_exhausted" || code === "unavailable";
      if (isWornOut && current === this.#current) this.#current = this.#create();
      if (current !== this.#current && current.open === 0) await current.client.close();
      if (!isWornOut) return code;
    }
  }

  close(): Promise<void> {
    return this.#current.client.close();
  }

  #create() {
    const transports = [this.#transport()];
    return { client: createClient({ registry: memoryRegistry(), transports }), open: 0 };
  }
}

/** To Connect, and to go-micro: both are asked on a connection of their own. */
async function byHand(address: string, token: string): Promise<TokenResult> {
  const path = "/micro.test.v1.GuardedService/About";
  const endpoint = "micro-service: guarded\r\nmicro-endpoint: GuardedService.About\r\n";
  const connect = await requestByHand(address, path, token, "");
  const goMicro = await requestByHand(address, "/", token, endpoint);
  return connect === undefined ? undefined : goMicro;
}

async function requestByHand(
  address: string,
  path: string,
  token: string,
  more: string,
): Promise<TokenResult> {
  const [host, port] = address.split(":");
  const socket = connectTo({ host: host!, port: Number(port) });
  let response = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    response += text;
  });
  // A server that refuses a large header resets the connection.
  socket.on("error", () => undefined);
  const lines = `host: ${address}\r\ncontent-type: application/json\r\nconnection: close\r\n${more}content-length: 2\r\n`;
  socket.write(`POST ${path} HTTP/1.1\r\n${lines}authorization: Bearer ${token}\r\n\r\n{}`);
  await once(socket, "close");
  const status =
    /^micro-error:.*"code":(\d+)/im.exec(response) ?? /^HTTP\/1.1 (\d+)/.exec(response);
  if (status === null) return "reset";
  return status[1] === "200" ? undefined : status[1];
}
