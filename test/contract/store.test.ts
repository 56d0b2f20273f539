import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore } from "@micro-es/runtime";
import { fileStore } from "@micro-es/runtime/store/file";
import { afterAll, beforeAll, describe, test } from "vitest";
import { storeContract } from "./store.ts";

let directory: string;
let stores = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "micro-store-"));
});
afterAll(() => rm(directory, { recursive: true }));

const create = {
  memory: async () => memoryStore(),
  file: () => fileStore({ path: join(directory, String(stores++)) }),
  "file without sync": () => fileStore({ path: join(directory, String(stores++)), sync: false }),
};

describe.each(Object.entries(create))("store %s", (_name, open) => {
  for (const { name, run } of storeContract(open)) test(name, run);
});
