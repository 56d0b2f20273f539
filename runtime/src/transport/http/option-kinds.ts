import {
  byteCountUpTo,
  countOrNone,
  countUpTo,
  durationMs,
  flag,
  type OptionKind,
  type OptionKindsOf,
  object,
  oneOf,
  optionsOf,
  required,
  texts,
} from "../../base/option-check.ts";
import { encoding, maxInt32 } from "../option-kinds.ts";
import type { HttpCallOptions } from "./call-options.ts";
import type { CorsOptions } from "./cors.ts";
import type { HttpProtocolOptions } from "./protocol-server.ts";

const serveKinds: OptionKindsOf<HttpProtocolOptions> = {
  connect: flag,
  grpc: flag,
  grpcWeb: flag,
  compressMinBytes: countOrNone,
  maxRequestBytes: byteCountUpTo(maxInt32),
  maxInflationRatio: countUpTo(maxInt32),
  typeRegistry: object,
  goMicro: flag,
  health: flag,
  cors: optionsOf<CorsOptions>({
    origins: required(texts),
    allowedHeaders: texts,
    exposedHeaders: texts,
    maxAgeMs: durationMs(0),
  }),
  routes: object,
  idleTimeoutMs: durationMs(1),
  maxConcurrentStreams: countUpTo(maxInt32),
  maxIncompleteBytes: byteCountUpTo(maxInt32),
};

/** How a listener serves HTTP. */
export const serveHttp: OptionKind = optionsOf<HttpProtocolOptions>(serveKinds);

/** The options of calls over HTTP. */
export const httpCallKinds: OptionKindsOf<HttpCallOptions> = {
  protocol: oneOf("grpc", "grpc-web", "connect"),
  httpVersion: oneOf("1.1", "2"),
  encoding,
  compression: oneOf("gzip", "br"),
  compressMinBytes: countOrNone,
  maxResponseBytes: byteCountUpTo(maxInt32),
  maxInflationRatio: countUpTo(maxInt32),
  get: flag,
  typeRegistry: object,
};
