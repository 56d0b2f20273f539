import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Backend,
  fileSync,
  httpBroker,
  mdnsRegistry,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  memorySync,
} from "@micro-es/runtime";
import { jetstreamBroker } from "@micro-es/runtime/broker/jetstream";
import { natsBroker } from "@micro-es/runtime/broker/nats";
import { natsRegistry } from "@micro-es/runtime/registry/nats";
import { fileStore } from "@micro-es/runtime/store/file";
import { natsStore } from "@micro-es/runtime/store/nats";
import { natsSync } from "@micro-es/runtime/sync/nats";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "micro-es-guarantees-"));
const registry = memoryRegistry();
const drivers: Record<string, Backend & { readonly guarantees: object }> = {
  "memoryRegistry()": registry,
  "mdnsRegistry()": mdnsRegistry(),
  "natsRegistry()": natsRegistry(),
  "memoryBroker()": memoryBroker(),
  "httpBroker()": httpBroker({ registry }),
  "natsBroker()": natsBroker(),
  "jetstreamBroker()": jetstreamBroker(),
  "memoryStore()": memoryStore(),
  "fileStore()": await fileStore({ path: folder }),
  "natsStore()": natsStore(),
  "memorySync()": memorySync(),
  "fileSync()": fileSync({ path: folder }),
  "natsSync()": natsSync(),
};

afterAll(async () => {
  for (const driver of Object.values(drivers)) await driver.close();
  rmSync(folder, { recursive: true });
});

test("the README's table says what each implementation promises as data", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `(\w+\(\))` \| ([^|]*) \| ([^|]+) \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(drivers));
  for (const [, name, words] of rows) {
    const said = Object.fromEntries((words ?? "").split(", ").map((word) => word.split(" ")));
    expect({ name, ...drivers[name ?? ""]?.guarantees }).toMatchObject({ name, ...said });
  }
});
