import { httpTransport } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import * as generated from "../gen/micro/bench/v1/bench_micro.ts";
import { callOver, serveOn } from "../micro-es.ts";

const connect = () => httpTransport({ protocol: "connect" });

export const contender: Contender = {
  name: "micro-es-connect",
  about: "generated client by service name, by Connect over HTTP/2, generated codecs",
  serve: () => serveOn({ generated, transport: connect() }),
  connect: (address) => callOver({ generated, transport: connect() }, address),
};
