import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** The size of a bundle that can decode and encode one type of message. */
export interface BundleSize {
  readonly contender: string;
  readonly minified: number;
  readonly gzipped: number;
}

/** The goal applies to the first. */
const entries: Readonly<Record<string, string>> = {
  "micro-es": `
    import { PingCodec } from "./small_micro.ts";
    globalThis.ping = [(bytes) => PingCodec.decode(bytes), (message) => PingCodec.encode(message)];`,
  "micro-es, every kind": `
    import { ReportCodec } from "./every_micro.ts";
    globalThis.report = [(bytes) => ReportCodec.decode(bytes), (message) => ReportCodec.encode(message)];`,
  "protobuf-es": `
    import { fromBinary, toBinary } from "@bufbuild/protobuf";
    import { PingSchema } from "./small_pb.ts";
    globalThis.ping = [(bytes) => fromBinary(PingSchema, bytes), (message) => toBinary(PingSchema, message)];`,
};

export async function bundleSizes(folder: string): Promise<BundleSize[]> {
  const sizes: BundleSize[] = [];
  for (const [contender, contents] of Object.entries(entries)) {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: folder, loader: "ts" },
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      platform: "browser",
      target: "es2022",
      conditions: ["@micro-es/source"],
      nodePaths: [join(import.meta.dirname, "../../../node_modules")],
      logLevel: "error",
    });
    const bytes = outputFiles[0]!.contents;
    sizes.push({
      contender,
      minified: bytes.length,
      gzipped: gzipSync(bytes, { level: 9 }).length,
    });
  }
  return sizes;
}
