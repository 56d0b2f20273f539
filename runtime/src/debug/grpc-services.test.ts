import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import { EchoService } from "../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../test/support/echo.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { buildServer } from "../server/rpc-server.ts";
import type { Server } from "../server/server.ts";
import { tcpTransport } from "../transport/tcp/transport.ts";
import { grpcHealthRoutes, grpcReflectionRoutes } from "./connect-routes.ts";
import { registerGrpcHealth } from "./grpc-health.ts";
import { registerGrpcReflection } from "./grpc-reflection.ts";
import { HealthStatus } from "./health-status.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

async function ours(): Promise<{ baseUrl: string; server: Server; health: HealthStatus }> {
  const server = buildServer({
    name: "echo",
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
  });
  server.unary(echo.echo, ({ text }) => ({ text }));
  const health = registerGrpcHealth(server);
  registerGrpcReflection(server);
  await server.start();
  open.push(server);
  return { baseUrl: `http://${server.addresses[0]}`, server, health };
}

async function connects(): Promise<{ baseUrl: string; health: HealthStatus }> {
  const health = new HealthStatus([EchoService.typeName]);
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => {
        grpcHealthRoutes(health)(router);
        grpcReflectionRoutes([EchoService, Health])(router);
      },
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(server);
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, health };
}

function grpc(baseUrl: string) {
  const sessionManager = new Http2SessionManager(baseUrl);
  open.push({ close: () => sessionManager.abort() });
  return createGrpcTransport({ baseUrl, sessionManager });
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}

for (const [name, start] of Object.entries({
  "our server": ours,
  "a server of Connect": connects,
})) {
  describe(`gRPC health and reflection in ${name}`, () => {
    test("health: the server and its services are serving, others are unknown", async () => {
      const { baseUrl, health } = await start();
      const client = createClient(Health, grpc(baseUrl));
      expect((await client.check({})).status).toBe(Serving.SERVING);
      expect((await client.check({ service: EchoService.typeName })).status).toBe(Serving.SERVING);
      await expect(client.check({ service: "absent" })).rejects.toMatchObject({
        code: Code.NotFound,
      });
      const watch = client.watch({ service: "later" })[Symbol.asyncIterator]();
      expect((await watch.next()).value.status).toBe(Serving.SERVICE_UNKNOWN);
      health.set("later", "serving");
      expect((await watch.next()).value.status).toBe(Serving.SERVING);
      health.shutDown();
      expect((await watch.next()).value.status).toBe(Serving.NOT_SERVING);
      expect((await watch.next()).done).toBe(true);
    });

    for (const service of [ServerReflection, ServerReflectionAlpha] as const) {
      test(`${service.typeName}: lists services, and returns the files that describe them`, async () => {
        const { baseUrl } = await start();
        const client = createClient(service as typeof ServerReflection, grpc(baseUrl));
        const ask = async (messageRequest: { case: string; value: string }) => {
          for await (const { messageResponse } of client.serverReflectionInfo(
            one({ messageRequest } as never),
          )) {
            return messageResponse;
          }
          throw new Error("no response");
        };
        const list = await ask({ case: "listServices", value: "" });
        const names =
          list.case === "listServicesResponse" ? list.value.service.map((it) => it.name) : [];
        expect(names).toEqual(
          expect.arrayContaining([EchoService.typeName, Health.typeName, service.typeName]),
        );
        for (const symbol of [
          EchoService.typeName,
          `${EchoService.typeName}.Echo`,
          "micro.test.v1.EchoRequest",
        ]) {
          const found = await ask({ case: "fileContainingSymbol", value: symbol });
          const bytes =
            found.case === "fileDescriptorResponse" ? found.value.fileDescriptorProto : [];
          const files = bytes.map((it) => fromBinary(FileDescriptorProtoSchema, it));
          expect(files[0]?.service[0]?.name).toBe("EchoService");
          const all = new Set(files.map((it) => it.name));
          for (const file of files)
            for (const needed of file.dependency) expect(all).toContain(needed);
        }
        const missing = await ask({ case: "fileContainingSymbol", value: "no.Such" });
        expect(missing.case === "errorResponse" && missing.value.errorCode).toBe(Code.NotFound);
      });
    }
  });
}

test("health follows a drain: watchers are notified, and do not delay it", async () => {
  const { baseUrl, server } = await ours();
  const watch = createClient(Health, grpc(baseUrl)).watch({})[Symbol.asyncIterator]();
  expect((await watch.next()).value.status).toBe(Serving.SERVING);
  const drained = server.drain();
  expect((await watch.next()).value.status).toBe(Serving.NOT_SERVING);
  expect((await watch.next()).done).toBe(true);
  await drained;
});
