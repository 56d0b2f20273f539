import type { Registry } from "@bufbuild/protobuf";
import type { CorsOptions } from "./cors.ts";
import type { MountedRoutes } from "./mounted-routes.ts";

/** How HTTP requests are served. */
export interface HttpServeOptions {
  /** Default true. */
  readonly connect?: boolean;
  /** Default true. */
  readonly grpc?: boolean;
  /** Default true. */
  readonly grpcWeb?: boolean;
  /**
   * Messages of at least this size are compressed for callers that support it, in bytes. Default
   * 1,024.
   */
  readonly compressMinBytes?: number;
  /**
   * The largest request, in bytes, if that is less than `maxMessageBytes`, which applies in both
   * directions.
   */
  readonly maxRequestBytes?: number;
  /**
   * How many times larger than their compressed bytes the messages of a request may become when
   * decompressed, in total. The first 320 KiB are exempt. Default 100.
   */
  readonly maxInflationRatio?: number;
  /** Types that a `google.protobuf.Any` may hold in JSON. */
  readonly typeRegistry?: Registry;
  /** Whether go-micro gRPC clients are served (docs/go-micro.md). Default true. */
  readonly goMicro?: boolean;
  /** Whether `GET /healthz` and `GET /readyz` are served (docs/http.md). Default true. */
  readonly health?: boolean;
  /** Allows pages of other origins to call. Default: none. */
  readonly cors?: CorsOptions;
  /**
   * Services of a Connect router that are served in addition to the registered handlers, from
   * `connectRoutes` of `@micro-es/runtime/connect`.
   */
  readonly routes?: MountedRoutes;
}
