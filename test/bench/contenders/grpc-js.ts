import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { BenchCaller, Contender } from "../contender.ts";

interface Message {
  payload: Buffer;
  number: number;
}

type Bench = grpc.Client & {
  Echo(message: Partial<Message>, done: (error: Error | null, answer: Message) => void): void;
  Download(message: Partial<Message>): grpc.ClientReadableStream<Message>;
  PingPong(): grpc.ClientDuplexStream<Partial<Message>, Message>;
};

const protos = process.env.BENCH_PROTOS ?? "";
const loaded = grpc.loadPackageDefinition(
  loadSync("micro/bench/v1/bench.proto", { includeDirs: protos.split(":"), keepCase: true }),
) as unknown as { micro: { bench: { v1: { BenchService: grpc.ServiceClientConstructor } } } };
const service = loaded.micro.bench.v1.BenchService;

async function connect(address: string): Promise<BenchCaller> {
  const client = new service(address, grpc.credentials.createInsecure()) as unknown as Bench;
  return {
    unary: (payload) =>
      new Promise((resolve, reject) => {
        client.Echo({ payload: payload as Buffer }, (error, answer) =>
          error ? reject(error) : resolve(answer.payload.length),
        );
      }),
    download: (payload, count) =>
      new Promise((resolve, reject) => {
        let came = 0;
        client
          .Download({ payload: payload as Buffer, number: count })
          .on("data", () => came++)
          .on("error", reject)
          .on("end", () => resolve(came));
      }),
    pingPong: (payload, count) =>
      new Promise((resolve, reject) => {
        const stream = client.PingPong();
        let came = 0;
        stream
          .on("data", () => {
            if (++came === count) stream.end();
            else stream.write({ payload: payload as Buffer });
          })
          .on("error", reject)
          .on("end", () => resolve(came));
        stream.write({ payload: payload as Buffer });
      }),
    async connectOnce() {
      const fresh = await connect(address);
      await fresh.unary?.(new Uint8Array(64));
      await fresh.close();
    },
    async close() {
      client.close();
    },
  };
}

export const contender: Contender = {
  name: "grpc-js",
  about: "@grpc/grpc-js over HTTP/2, protobuf by proto-loader",
  async serve() {
    const server = new grpc.Server();
    server.addService(service.service, {
      Echo: (call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) =>
        done(null, call.request),
      Download: (call: grpc.ServerWritableStream<Message, Message>) => {
        const { payload, number } = call.request;
        let sent = 0;
        const more = () => {
          while (sent < number) {
            sent++;
            if (!call.write({ payload, number: sent })) {
              call.once("drain", more);
              return;
            }
          }
          call.end();
        };
        more();
      },
      PingPong: (call: grpc.ServerDuplexStream<Message, Message>) => {
        call.on("data", (message: Message) => call.write(message)).on("end", () => call.end());
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return { address: `127.0.0.1:${port}`, close: async () => server.forceShutdown() };
  },
  connect,
};
