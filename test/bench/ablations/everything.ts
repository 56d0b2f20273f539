import { Metadata, tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, passingOnClient, passingOnServer, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  clientInterceptors: [passingOnClient],
  serverInterceptors: [passingOnServer],
  options: {
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    metadata: new Metadata({
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "x-tenant": "acme",
      "x-request-source": "bench",
      authorization: "Bearer 0123456789abcdef0123456789abcdef",
    }),
  },
};

export const contender: Contender = {
  name: "everything",
  about:
    "as micro-es, with deadline, four metadata entries, an interceptor on each side and a signal",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
