import type { Registry } from "@bufbuild/protobuf";
import type { Encoding } from "./encoding.ts";

/** Options for calls over HTTP. */
export interface HttpCallOptions {
  /** Default `grpc`. */
  readonly protocol: "grpc" | "grpc-web" | "connect";
  /** Default `2`, which gRPC requires; Connect and gRPC-Web also work over `1.1`. */
  readonly httpVersion: "1.1" | "2";
  /**
   * How messages are encoded. JSON requires methods that were generated with their descriptors.
   * Default `binary`.
   */
  readonly encoding: Encoding;
  /** Compresses requests. Default: no compression. */
  readonly compression: "gzip" | "br";
  /** Messages of at least this size are compressed, in bytes. Default 1,024. */
  readonly compressMinBytes: number;
  /**
   * The largest response, in bytes, if that is less than `maxMessageBytes`, which applies in both
   * directions.
   */
  readonly maxResponseBytes: number;
  /**
   * How many times larger than their compressed bytes the messages of a response may become when
   * decompressed, in total. The first 320 KiB are exempt. Default 100.
   */
  readonly maxInflationRatio: number;
  /**
   * Calls methods without side effects with GET if the protocol is Connect. Requests that would
   * make the path longer than 8,000 bytes are sent by POST. Default false.
   */
  readonly get: boolean;
  /** Types that a `google.protobuf.Any` may hold in JSON. */
  readonly typeRegistry: Registry;
}
