import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { inject } from "vitest";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    packedPackages: string;
  }
}

const repository = join(import.meta.dirname, "../..");
const published = [
  "protoc-gen-micro",
  "@micro-es/runtime",
  "@micro-es/nats",
  "@micro-es/etcd",
  "@micro-es/consul",
  "@micro-es/dns",
  "@micro-es/zookeeper",
  "@micro-es/rabbitmq",
  "@micro-es/nsq",
  "@micro-es/redis",
  "@micro-es/postgres",
  "@micro-es/kafka",
  "@micro-es/pubsub",
  "@micro-es/cli",
  "@micro-es/contract",
];

/**
 * The global setup of the end-to-end tests: packs the packages once. Packing rewrites `dist`, so
 * two test files that packed at the same time would damage each other's tarballs.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "micro-es-packed-"));
  const workspaces = published.flatMap((name) => ["-w", name]);
  await promisify(execFile)("npm", ["pack", ...workspaces, "--pack-destination", folder], {
    cwd: repository,
  });
  project.provide("packedPackages", folder);
  return () => rm(folder, { recursive: true, force: true });
}

/** Copies the tarballs of these packages, such as `@micro-es/runtime`, into a folder. */
export async function copyPackages(folder: string, names: readonly string[]): Promise<void> {
  const packed = inject("packedPackages");
  await mkdir(folder, { recursive: true });
  for (const file of await readdir(packed)) {
    const name = file.replace(/-\d.*\.tgz$/, "").replace(/^micro-es-/, "@micro-es/");
    if (names.includes(name)) await copyFile(join(packed, file), join(folder, file));
  }
}
