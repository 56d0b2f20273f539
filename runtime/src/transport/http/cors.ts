import type { HeaderLine } from "../http-headers.ts";

/** What scripts may send, so that all protocols work. */
const allowed = {
  methods: ["POST", "GET"],
  headers: [
    "Content-Type",
    "Connect-Protocol-Version",
    "Connect-Timeout-Ms",
    "Connect-Content-Encoding",
    "Connect-Accept-Encoding",
    "Content-Encoding",
    "Accept-Encoding",
    "Grpc-Message-Type",
    "X-Grpc-Web",
    "X-User-Agent",
    "Grpc-Timeout",
  ],
} as const;

/** What scripts may read of a response. */
const readable = [
  "Grpc-Status",
  "Grpc-Message",
  "Grpc-Status-Details-Bin",
  "Content-Encoding",
  "Connect-Content-Encoding",
];

/** Which pages of other origins a browser allows to call. */
export interface CorsOptions {
  /** Such as `https://app.example.com`; `*` is every origin. */
  readonly origins: readonly string[];
  /**
   * Names of metadata that pages may send. `*` is all except `authorization`. Default: `*` and
   * `authorization`.
   */
  readonly allowedHeaders?: readonly string[];
  /**
   * Names of response metadata that pages may read, in addition to the protocols' own. Default `*`.
   */
  readonly exposedHeaders?: readonly string[];
  /** How long a browser may cache a preflight response, in milliseconds. Default 7,200,000. */
  readonly maxAgeMs?: number;
}

/** Returns the CORS header lines for the origin of a request; none if that origin may not call. */
export function corsLines(
  options: CorsOptions,
  origin: string | undefined,
  preflight: boolean,
): readonly HeaderLine[] {
  const vary: HeaderLine = ["vary", "origin"];
  if (origin === undefined) return [vary];
  const { origins, exposedHeaders = ["*"] } = options;
  const any = origins.includes("*");
  if (!any && !origins.includes(origin)) return [vary];
  const lines: HeaderLine[] = [["access-control-allow-origin", any ? "*" : origin]];
  if (!any) lines.push(vary);
  if (!preflight) {
    const exposed = [...readable, ...exposedHeaders];
    lines.push(["access-control-expose-headers", exposed.join(", ")]);
    return lines;
  }
  const { allowedHeaders = ["authorization", "*"], maxAgeMs = 7_200_000 } = options;
  lines.push(
    ["access-control-allow-methods", allowed.methods.join(", ")],
    ["access-control-allow-headers", [...allowed.headers, ...allowedHeaders].join(", ")],
    ["access-control-max-age", String(Math.floor(maxAgeMs / 1000))],
  );
  return lines;
}
