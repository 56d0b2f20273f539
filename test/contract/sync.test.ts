import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSync, MemorySyncNetwork, memorySync } from "@micro-es/runtime";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type SyncBackend, syncContract } from "./sync.ts";

let directory: string;
let backends = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "micro-sync-"));
});
afterAll(() => rm(directory, { recursive: true }));

const create: Record<string, () => Promise<SyncBackend>> = {
  async memory() {
    const network = new MemorySyncNetwork();
    return { connect: () => memorySync({ network }) };
  },
  async file() {
    const path = join(directory, String(backends++));
    return { connect: () => fileSync({ path }) };
  },
};

describe.each(Object.entries(create))("sync %s", (_name, backend) => {
  for (const { name, run } of syncContract(backend)) test.concurrent(name, run);
});
