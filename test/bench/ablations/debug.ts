import { tcpTransport } from "@micro-es/runtime";
import { debugService } from "@micro-es/runtime/debug";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  debug: debugService,
};

export const contender: Contender = {
  name: "debug",
  about: "a server that counts and times its calls, for `micro stats`",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
