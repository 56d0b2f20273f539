import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { BenchCaller, Contender } from "../contender.ts";
import { grpcGoServer } from "../grpc-go.ts";

interface Message {
  payload?: { body: Uint8Array };
}

type Service = grpc.Client & {
  UnaryCall(
    message: Message & { response_size: number },
    done: (error: Error | null, response: Message) => void,
  ): void;
  StreamingOutputCall(message: {
    response_parameters: readonly { size: number }[];
  }): grpc.ClientReadableStream<Message>;
};

async function connect(address: string): Promise<BenchCaller> {
  const protos = process.env.BENCH_PROTOS ?? "";
  const loaded = grpc.loadPackageDefinition(
    loadSync("grpc/testing/test.proto", { includeDirs: protos.split(":"), keepCase: true }),
  ) as unknown as { grpc: { testing: { TestService: grpc.ServiceClientConstructor } } };
  const { TestService } = loaded.grpc.testing;
  const client = new TestService(address, grpc.credentials.createInsecure()) as unknown as Service;
  return {
    unary: (body) =>
      new Promise((resolve, reject) => {
        const request = { response_size: body.length, payload: { body } };
        client.UnaryCall(request, (error, { payload } = {}) =>
          error ? reject(error) : resolve(payload?.body.length ?? 0),
        );
      }),
    download: ({ length }, count) =>
      new Promise((resolve, reject) => {
        let came = 0;
        client
          .StreamingOutputCall({ response_parameters: new Array(count).fill({ size: length }) })
          .on("data", () => came++)
          .on("error", reject)
          .on("end", () => resolve(came));
      }),
    async close() {
      client.close();
    },
  };
}

export const contender: Contender = {
  name: "grpc-js-to-grpc-go",
  about: "the client of @grpc/grpc-js, protobuf by proto-loader, to grpc-go's server",
  ...grpcGoServer,
  connect,
};
