import { httpTransport } from "@micro-es/runtime";
import { staticToken } from "@micro-es/runtime/auth";
import { benchAuth, benchToken } from "../bench-auth.ts";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: httpTransport(),
  auth: benchAuth(),
  credentials: staticToken(benchToken, { services: "any" }),
};

export const contender: Contender = {
  name: "grpc-credential",
  about: "over gRPC, with a token in the header authorization of each call",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
