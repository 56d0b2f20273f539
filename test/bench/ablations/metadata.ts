import { Metadata, tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

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
};

export const contender: Contender = {
  name: "metadata",
  about: "four entries, encoded once and never read",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
