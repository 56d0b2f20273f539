import { tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
};

export const contender: Contender = {
  name: "access-cut-out",
  about: "as nothing, by a runtime without the step that admits callers",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
