import type { Registry } from "@bufbuild/protobuf";
import type { Encoding } from "./message-form.ts";

/** How calls go out by HTTP. */
export interface HttpCallOptions {
  /** Default `grpc`. */
  readonly protocol: "grpc" | "grpc-web" | "connect";
  /** Default `2`, which gRPC needs; Connect and gRPC-Web also go by `1.1`. */
  readonly httpVersion: "1.1" | "2";
  /** How messages are written. JSON needs methods that were generated with their descriptors. Default `binary`. */
  readonly encoding: Encoding;
  /** Compresses requests. Default: not. */
  readonly compression: "gzip" | "br";
  /** Messages from this size on are compressed, in bytes. Default 1,024. */
  readonly compressMinBytes: number;
  /** The largest answer, in bytes, where that is less than `maxMessageBytes`, which holds both ways. */
  readonly maxAnswerBytes: number;
  /** Calls methods without side effects by GET where the protocol is Connect. Default false. */
  readonly get: boolean;
  /** Types that a `google.protobuf.Any` may hold in JSON. */
  readonly typeRegistry: Registry;
}
