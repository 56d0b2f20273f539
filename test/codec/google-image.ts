import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { fetchProtos } from "../googleapis/fetch-protos.ts";

const root = join(import.meta.dirname, "../..");

/** Some of everything, for every change. */
export const somePaths: readonly string[] = [
  "google/api",
  "google/bigtable",
  "google/firestore",
  "google/iam",
  "google/logging",
  "google/longrunning",
  "google/pubsub",
  "google/rpc",
  "google/spanner",
  "google/storage",
  "google/type",
  "grafeas",
];

/**
 * Compiles Google's .proto files, without those that buf cannot build.
 *
 * @param folder where to do it
 * @param targets some paths of the tree; none for all
 * @param comments whether the files come with their source information, as plugins get them
 */
export function googleImage(
  folder: string,
  targets: readonly string[],
  comments?: "with comments",
): FileDescriptorSet {
  const protos = join(folder, "proto");
  const from = fetchProtos(join(root, ".cache"));
  for (const name of readdirSync(from, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".proto")) continue;
    mkdirSync(dirname(join(protos, name)), { recursive: true });
    // A link, and not a copy: the tree is large, and files of it are removed below.
    linkSync(join(from, name), join(protos, name));
  }
  writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
  const buf = join(root, "node_modules/.bin/buf");
  const paths = targets.flatMap((path) => ["--path", `proto/${path}`]);
  for (;;) {
    const args = ["build", "-o", "image.binpb", ...paths];
    if (comments === undefined) args.push("--exclude-source-info");
    const { status, stderr } = spawnSync(buf, args, { cwd: folder, encoding: "utf8" });
    if (status === 0) break;
    const failed = new Set(
      [...stderr.matchAll(/^proto\/(\S+?\.proto):/gm)].map(([, file]) => file ?? ""),
    );
    if (failed.size === 0) throw new Error(`buf build: ${stderr}`);
    for (const file of failed) rmSync(join(protos, file), { force: true });
  }
  return fromBinary(FileDescriptorSetSchema, readFileSync(join(folder, "image.binpb")));
}
