import { createClient, httpTransport, memoryRegistry } from "@micro-es/runtime";
import { createTestServiceClient } from "../../gen/grpc/testing/test_micro.ts";
import type { BenchCaller, Contender } from "../contender.ts";
import { grpcGoServer } from "../grpc-go.ts";

async function connect(address: string): Promise<BenchCaller> {
  const registry = memoryRegistry();
  const transport = httpTransport();
  await registry.register({
    id: "grpc-go-1",
    service: "grpc.testing",
    version: "1",
    address,
    metadata: { protocol: transport.protocol, transport: transport.name },
    endpoints: [],
  });
  const client = createClient({ registry, transports: [transport] });
  const service = createTestServiceClient(client);
  return {
    async unary(body) {
      const { payload } = await service.unaryCall({
        responseSize: body.length,
        payload: { body },
      });
      return payload?.body.length ?? 0;
    },
    async download({ length }, count) {
      const responseParameters = new Array(count).fill({ size: length });
      let came = 0;
      for await (const _ of service.streamingOutputCall({ responseParameters })) came++;
      return came;
    },
    close: () => client.close(),
  };
}

export const contender: Contender = {
  name: "micro-es-to-grpc-go",
  about: "generated client by service name, over gRPC, to grpc-go's server",
  ...grpcGoServer,
  connect,
};
