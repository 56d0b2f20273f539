import { once } from "node:events";
import { Agent, createServer as createHttp1 } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { type ConnectRouter, createClient } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { BenchService } from "../../gen/micro/bench/v1/bench_pb.ts";
import type { BenchCaller, Contender } from "../contender.ts";

function routes(router: ConnectRouter): void {
  router.service(BenchService, {
    echo: (request) => request,
    async *download({ payload, number }) {
      for (let index = 1; index <= number; index++) yield { payload, number: index };
    },
    async *pingPong(requests) {
      for await (const request of requests) yield request;
    },
  });
}

function contenderOf(protocol: "connect" | "grpc"): Contender {
  const connect = async (address: string): Promise<BenchCaller> => {
    const baseUrl = `http://${address}`;
    const agent = new Agent({ keepAlive: true });
    const sessionManager = new Http2SessionManager(baseUrl);
    const transport =
      protocol === "grpc"
        ? createGrpcTransport({ baseUrl, sessionManager })
        : createConnectTransport({
            baseUrl,
            httpVersion: "1.1",
            useBinaryFormat: true,
            nodeOptions: { agent },
          });
    const client = createClient(BenchService, transport);
    const streams = protocol === "grpc";
    return {
      unary(payload) {
        return client.echo({ payload });
      },
      async download(payload, count) {
        let came = 0;
        for await (const _ of client.download({ payload, number: count })) came++;
        return came;
      },
      ...(streams && {
        async pingPong(payload: Uint8Array, count: number) {
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
          for await (const _ of client.pingPong(requests())) {
            came++;
            answered();
          }
          return came;
        },
      }),
      async connectOnce() {
        const fresh = await connect(address);
        await fresh.unary?.(new Uint8Array(64));
        await fresh.close();
      },
      async close() {
        agent.destroy();
        sessionManager.abort();
      },
    };
  };
  return {
    name: protocol === "grpc" ? "connect-grpc" : "connect-h1",
    about:
      protocol === "grpc"
        ? "@connectrpc/connect-node, gRPC over HTTP/2, protobuf-es"
        : "@connectrpc/connect-node, Connect over HTTP/1.1, protobuf-es",
    async serve() {
      const adapter = connectNodeAdapter({ routes });
      const server = protocol === "grpc" ? createHttp2(adapter) : createHttp1(adapter);
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return {
        address: `127.0.0.1:${(server.address() as { port: number }).port}`,
        close: async () => {
          server.close();
        },
      };
    },
    connect,
  };
}

export const contender: Contender = contenderOf("connect");
export const grpcContender: Contender = contenderOf("grpc");
