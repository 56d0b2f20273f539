import { Metadata, tcpTransport } from "@micro-es/runtime";
import { benchAuth, benchToken } from "../bench-auth.ts";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, type Setup, serveOn } from "../micro-es.ts";

const setup: Setup = {
  generated,
  transport: tcpTransport(),
  auth: benchAuth(),
  options: { metadata: new Metadata({ authorization: `Bearer ${benchToken}` }) },
};

export const contender: Contender = {
  name: "credential-in-metadata",
  about: "the same token in the metadata of each call",
  serve: () => serveOn(setup),
  connect: (address) => callOver(setup, address),
};
