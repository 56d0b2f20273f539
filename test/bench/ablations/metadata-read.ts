import { Metadata, tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, passingOnServer, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  options: {
    metadata: new Metadata({
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "x-tenant": "acme",
      "x-request-source": "bench",
      authorization: "Bearer 0123456789abcdef0123456789abcdef",
    }),
  },
  serverInterceptors: [
    {
      ...passingOnServer,
      unary(context, request, next) {
        if (!context.requestMetadata.has("x-tenant")) throw new Error("there is no tenant");
        return next(request);
      },
    },
  ],
};

export const contender: Contender = {
  name: "metadata-read",
  about: "four entries, encoded once and read by an interceptor of the server",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
