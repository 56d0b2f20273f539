import { create, createRegistry } from "@bufbuild/protobuf";
import { type Client, createClient, httpTransport, memoryRegistry } from "@micro-es/runtime";
import { SuiteCall } from "./call.ts";
import { frame, readFrames } from "./frames.ts";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  type ClientCompatResponse,
  ClientCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.ts";
import {
  Codec,
  Compression,
  HTTPVersion,
  Protocol,
} from "./gen/connectrpc/conformance/v1/config_pb.ts";
import { file_connectrpc_conformance_v1_service } from "./gen/connectrpc/conformance/v1/service_pb.ts";

/** The client that the suite tests: one process, which makes the requested calls. */

const typeRegistry = createRegistry(file_connectrpc_conformance_v1_service);
const protocols: Partial<Record<Protocol, "connect" | "grpc" | "grpc-web">> = {
  [Protocol.CONNECT]: "connect",
  [Protocol.GRPC]: "grpc",
  [Protocol.GRPC_WEB]: "grpc-web",
};

const versions: Partial<Record<HTTPVersion, "1.1" | "2">> = {
  [HTTPVersion.HTTP_VERSION_1]: "1.1",
  [HTTPVersion.HTTP_VERSION_2]: "2",
};

/** Clients by what they speak; with many servers, each by its address. */
const clients = new Map<string, Client>();
const calls = new Set<Promise<void>>();
/** The suite has deadlines of two seconds, which thousands of calls at once would not meet. */
const atOnce = 12;

process.once("SIGTERM", () => process.exit(0));
for await (const request of readFrames(ClientCompatRequestSchema, process.stdin)) {
  const call = answer(request);
  calls.add(call);
  void call.finally(() => calls.delete(call));
  while (calls.size >= atOnce) await Promise.race(calls);
}
await Promise.all(calls);
await Promise.all([...clients.values()].map((client) => client.close()));

async function answer(request: ClientCompatRequest): Promise<void> {
  const response = create(ClientCompatResponseSchema, { testName: request.testName });
  response.result = await resultOf(request);
  process.stdout.write(frame(ClientCompatResponseSchema, response));
}

async function resultOf(request: ClientCompatRequest): Promise<ClientCompatResponse["result"]> {
  try {
    const scheme = request.serverTlsCert.length > 0 ? "https" : "http";
    const address = `${scheme}://${request.host}:${request.port}`;
    return {
      case: "response",
      value: await new SuiteCall(request, clientFor(request), address).run(),
    };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return {
      case: "error",
      value: { $typeName: "connectrpc.conformance.v1.ClientErrorResult", message },
    };
  }
}

function clientFor(request: ClientCompatRequest): Client {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
  const { httpVersion, protocol, codec, compression, useGetHttpMethod } = request;
  const { serverTlsCert, clientTlsCreds, messageReceiveLimit } = request;
  const identity = {
    ca: text(serverTlsCert),
    ...(clientTlsCreds !== undefined && {
      cert: text(clientTlsCreds.cert),
      key: text(clientTlsCreds.key),
    }),
  };
  const options = {
    protocol: protocols[protocol] ?? unknown(`protocol ${protocol}`),
    httpVersion: versions[httpVersion] ?? unknown(`HTTP version ${httpVersion}`),
    encoding: codec === Codec.JSON ? "json" : "binary",
    get: useGetHttpMethod,
    compressMinBytes: 0,
    ...(compression === Compression.GZIP && { compression: "gzip" as const }),
    ...(messageReceiveLimit > 0 && { maxResponseBytes: messageReceiveLimit }),
    ...(serverTlsCert.length > 0 && { tls: { client: { identity } } }),
  } as const;
  const key = JSON.stringify(options);
  const client =
    clients.get(key) ??
    createClient({
      registry: memoryRegistry(),
      transports: [httpTransport({ ...options, typeRegistry })],
      retry: false,
    });
  clients.set(key, client);
  return client;
}

function unknown(what: string): never {
  throw new Error(`the suite asks for ${what}, which it did not announce`);
}
