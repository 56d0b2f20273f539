import { tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  options: { signal: new AbortController().signal },
};

export const contender: Contender = {
  name: "signal",
  about: "one signal passed to every call",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
