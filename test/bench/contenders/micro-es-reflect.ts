import { tcpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen-reflect/micro/bench/v1/bench_micro.ts";
import { callOver, serveOn } from "../micro-es.ts";

export const contender: Contender = {
  name: "micro-es-reflect",
  about: "as micro-es, with protobuf-es' codecs (codec=reflect)",
  serve: () => serveOn({ generated, transport: tcpTransport() }),
  connect: (address) => callOver({ generated, transport: tcpTransport() }, address),
};
