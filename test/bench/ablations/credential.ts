import { tcpTransport } from "@micro-es/runtime";
import { staticToken } from "@micro-es/runtime/auth";
import { benchAuth, benchToken } from "../bench-auth.ts";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  auth: benchAuth(),
  credentials: staticToken(benchToken, { services: "any" }),
};

export const contender: Contender = {
  name: "credential",
  about: "a bearer token of 462 characters, verified once, that each call names by its number",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
