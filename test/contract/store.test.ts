import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createService,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  memoryTransport,
  silentLogger,
} from "@micro-es/runtime";
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
  file: async () => fileStore({ path: join(directory, String(stores++)) }),
  "file, opened before its first use": async () => {
    const store = fileStore({ path: join(directory, String(stores++)) });
    await store.open();
    return store;
  },
  "file without sync": async () =>
    fileStore({ path: join(directory, String(stores++)), sync: false }),
  "of MICRO_STORE": async () =>
    createService({
      name: "store",
      registry: memoryRegistry(),
      transports: [memoryTransport()],
      broker: memoryBroker(),
      logger: silentLogger,
      environment: { MICRO_STORE: `file:${join(directory, String(stores++))}` },
    }).store,
};

describe.each(Object.entries(create))("store %s", (_name, open) => {
  for (const { name, run } of storeContract(open)) test(name, run);
});
