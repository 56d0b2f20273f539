import { tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, passingOnClient, passingOnServer, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  clientInterceptors: [passingOnClient],
  serverInterceptors: [passingOnServer],
};

export const contender: Contender = {
  name: "interceptors",
  about: "one on each side that passes on",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
