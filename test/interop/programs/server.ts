import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  createServer,
  MicroError,
  memoryBroker,
  memoryRegistry,
  type ServerInterceptor,
  tcpTransport,
} from "@micro-es/runtime";
import { registerGrpcHealth, registerGrpcReflection } from "@micro-es/runtime/debug/grpc";
import { registerTestServiceHandler } from "../../gen/grpc/testing/test_micro.ts";
import { isPlanted } from "./is-planted.ts";
import { PlantedServer } from "./planted-server.ts";
import { TestServer } from "./test-server.ts";

/**
 * The server of gRPC's interoperability tests, as a user of Micro-ES would write it. Prints where
 * it listens on a line of standard output, and stops on SIGTERM.
 */

const { values } = parseArgs({
  options: {
    cert: { type: "string" },
    key: { type: "string" },
    cors: { type: "string" },
    "only-v1alpha": { type: "boolean" },
  },
});
const identity =
  values.cert === undefined || values.key === undefined
    ? undefined
    : { cert: readFileSync(values.cert, "utf8"), key: readFileSync(values.key, "utf8") };
/** Acts like a server from before reflection v1. */
const olderReflection: ServerInterceptor = async (incoming, next) => {
  if (incoming.name.startsWith("grpc.reflection.v1.")) {
    throw new MicroError("unimplemented", "this server has reflection v1alpha alone");
  }
  await next();
};
const server = createServer({
  name: "interop",
  registry: memoryRegistry(),
  broker: memoryBroker(),
  interceptors: values["only-v1alpha"] === true ? [olderReflection] : [],
  listen: [
    {
      transport: tcpTransport({
        ...(identity !== undefined && { tls: { server: { identity } } }),
        ...(values.cors !== undefined && { http: { cors: { origins: [values.cors] } } }),
      }),
      address: "127.0.0.1:0",
    },
  ],
});
registerTestServiceHandler(server, isPlanted ? new PlantedServer() : new TestServer());
registerGrpcHealth(server);
registerGrpcReflection(server);
await server.start();
process.once("SIGTERM", () => void server.close());
console.log(`listening ${server.addresses[0]}`);
