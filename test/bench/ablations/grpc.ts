import { httpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: httpTransport(),
};

export const contender: Contender = {
  name: "grpc",
  about: "over gRPC",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
