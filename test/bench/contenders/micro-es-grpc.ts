import { httpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, serveOn } from "../micro-es.ts";

export const contender: Contender = {
  name: "micro-es-grpc",
  about: "generated client by service name, over gRPC, generated codecs",
  serve: () => serveOn({ generated, transport: httpTransport() }),
  connect: (address) => callOver({ generated, transport: httpTransport() }, address),
};
