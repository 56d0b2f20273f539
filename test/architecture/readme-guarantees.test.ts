import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  envSource,
  fileSource,
  fileSync,
  flagsSource,
  goMicroTransport,
  httpBroker,
  httpTransport,
  mdnsRegistry,
  memoryBroker,
  memoryRegistry,
  memorySource,
  memoryStore,
  memorySync,
  memoryTransport,
  tcpTransport,
} from "@micro-es/runtime";
import { jetstreamBroker } from "@micro-es/runtime/broker/jetstream";
import { natsBroker } from "@micro-es/runtime/broker/nats";
import { natsSource } from "@micro-es/runtime/config/nats";
import { NatsLink } from "@micro-es/runtime/nats";
import { goMicroNatsRegistry } from "@micro-es/runtime/registry/go-micro-nats";
import { natsRegistry } from "@micro-es/runtime/registry/nats";
import { localRuntime } from "@micro-es/runtime/runtime/local";
import { fileStore } from "@micro-es/runtime/store/file";
import { natsStore } from "@micro-es/runtime/store/nats";
import { natsSync } from "@micro-es/runtime/sync/nats";
import { goMicroNatsTransport } from "@micro-es/runtime/transport/go-micro-nats";
import { natsTransport } from "@micro-es/runtime/transport/nats";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "micro-es-guarantees-"));
const registry = memoryRegistry();
const link = new NatsLink();
const tcp = tcpTransport();
const drivers: Record<string, { readonly guarantees: object; close?(): Promise<void> }> = {
  "memoryTransport()": memoryTransport(),
  "tcpTransport()": tcp,
  "tcpTransport() at unix:": { guarantees: tcp.guaranteesAt?.("unix:/run/greeter.sock") ?? {} },
  "httpTransport()": httpTransport(),
  "natsTransport()": natsTransport({ link }),
  "goMicroTransport()": goMicroTransport(),
  "goMicroNatsTransport()": goMicroNatsTransport({ link }),
  "memoryRegistry()": registry,
  "mdnsRegistry()": mdnsRegistry(),
  "natsRegistry()": natsRegistry(),
  "goMicroNatsRegistry()": goMicroNatsRegistry(),
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
  "memorySource()": memorySource(),
  "envSource()": envSource({ prefix: "SHOP_" }),
  "flagsSource()": flagsSource(),
  "fileSource()": fileSource(join(folder, "config.yaml"), { required: false }),
  "natsSource()": natsSource(),
  "localRuntime()": localRuntime(),
};

afterAll(async () => {
  for (const driver of Object.values(drivers)) await driver.close?.();
  rmSync(folder, { recursive: true });
});

test("the README's table says what each implementation promises as data", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `(\w+\(\)(?: at unix:)?)` \| ([^|]*) \| ([^|]+) \|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(drivers));
  for (const [, name, words] of rows) {
    const said = Object.fromEntries((words ?? "").split(", ").map((word) => word.split(" ")));
    const promised = Object.entries(drivers[name ?? ""]?.guarantees ?? {});
    const given = Object.fromEntries(promised.map(([what, value]) => [what, String(value)]));
    expect({ name, ...given }).toMatchObject({ name, ...said });
  }
});
