import { once } from "node:events";
import { connect as connectTo } from "node:net";
import {
  asMicroError,
  type CallOptions,
  createClient,
  goMicroTransport,
  httpTransport,
  memoryRegistry,
  staticToken,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
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
  const clients = Object.entries(transportsOf).map(([protocol, transport]) => {
    const client = createClient({ registry: memoryRegistry(), transports: [transport()] });
    return { protocol, client, guarded: createGuardedServiceClient(client) };
  });
  const ways = clients.flatMap(({ protocol, guarded }): [string, TokenCaller][] => [
    [protocol, (token) => called(guarded, address, byMetadata(token), token)],
    ...(protocol === "native"
      ? ([
          [
            "native by CREDENTIAL",
            (token) => called(guarded, address, () => presenting(token), token),
          ],
        ] satisfies [string, TokenCaller][])
      : []),
  ]);
  return {
    all: Object.fromEntries(ways),
    async [Symbol.asyncDispose]() {
      for (const { client } of clients) await client.close();
    },
  };
}

const byMetadata = (token: string) => (): CallOptions => ({
  metadata: { authorization: `Bearer ${token}` },
});
const presenting = (token: string): CallOptions => ({
  credentials: staticToken(token, { services: "any" }),
});

async function called(
  guarded: GuardedServiceClient,
  address: string,
  options: () => CallOptions,
  token: string,
): Promise<TokenResult> {
  const isWritable = /^[\x21-\x7e]{1,8192}$/.test(token);
  if (!isWritable) return byHand(address, token);
  try {
    await guarded.about({}, { address, timeoutMs: 60_000, ...options() });
    return undefined;
  } catch (reason) {
    return asMicroError(reason).code;
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
  const isSuccess = response.startsWith("HTTP/1.1 200") && !/^micro-error:/im.test(response);
  return isSuccess ? undefined : (/^HTTP\/1.1 (\d+)/.exec(response)?.[1] ?? "reset");
}
