import { tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  clientInterceptors: [{ unary: (_call, request, next) => next(request) }],
  serverInterceptors: [{ unary: (_context, request, next) => next(request) }],
};

export const contender: Contender = {
  name: "interceptors",
  about: "one on each side that passes on",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
