import { create, createRegistry } from "@bufbuild/protobuf";
import { createServer, memoryRegistry, type Server, tcpTransport } from "@micro-es/runtime";
import { frame, readFrames } from "./frames.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { registerConformanceServiceHandler } from "./gen/connectrpc/conformance/v1/service_micro.ts";
import { file_connectrpc_conformance_v1_service } from "./gen/connectrpc/conformance/v1/service_pb.ts";
import { Conformance } from "./service.ts";

/** The server that the suite tests: one process for each of its configurations. */

const { value: request } = await readFrames(ServerCompatRequestSchema, process.stdin).next();
if (request === undefined) throw new Error("the runner did not say what to serve");

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
const { useTls, serverCreds, clientTlsCert, messageReceiveLimit } = request;
const identity = {
  key: text(serverCreds?.key ?? new Uint8Array()),
  cert: text(serverCreds?.cert ?? new Uint8Array()),
};
const server = createServer({
  name: "conformance",
  registry: memoryRegistry(),
  listen: [
    {
      address: "127.0.0.1:0",
      transport: tcpTransport({
        http: {
          typeRegistry: createRegistry(file_connectrpc_conformance_v1_service),
          // The suite fills messages with one character, which compresses by a factor of up to
          // 1,032.
          maxInflationRatio: 2_000,
          ...(messageReceiveLimit > 0 && { maxRequestBytes: messageReceiveLimit }),
        },
        ...(useTls && {
          tls: {
            server:
              clientTlsCert.length > 0
                ? {
                    identity: { ...identity, ca: text(clientTlsCert) },
                    requireClientCertificate: true,
                  }
                : { identity },
          },
        }),
      }),
    },
  ],
});
registerConformanceServiceHandler(lacking(server, "Unimplemented"), new Conformance());
await server.start();

const port = Number(server.addresses[0]?.split(":").at(-1));
const pemCert = useTls ? (serverCreds?.cert ?? new Uint8Array()) : new Uint8Array();
const response = create(ServerCompatResponseSchema, { host: "127.0.0.1", port, pemCert });
process.stdout.write(frame(ServerCompatResponseSchema, response));
process.once("SIGTERM", () => {
  void server.close().then(() => process.exit(0));
});

/** A server on which a unary method is not registered. */
function lacking(server: Server, rpc: string): Server {
  return new Proxy(server, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: { readonly name?: string }[]) =>
        name === "unary" && args[0]?.name?.endsWith(`/${rpc}`) === true
          ? undefined
          : member.apply(target, args);
    },
  });
}
