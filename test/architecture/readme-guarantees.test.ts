import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { consulRegistry, consulSource, consulSync } from "@micro-es/consul";
import { dnsRegistry } from "@micro-es/dns";
import { etcdRegistry, etcdSource, etcdStore, etcdSync } from "@micro-es/etcd";
import { kafkaBroker } from "@micro-es/kafka";
import {
  goMicroNatsRegistry,
  goMicroNatsTransport,
  jetstreamBroker,
  NatsLink,
  natsBroker,
  natsRegistry,
  natsSource,
  natsStore,
  natsSync,
  natsTransport,
} from "@micro-es/nats";
import { nsqBroker } from "@micro-es/nsq";
import { postgresStore, postgresSync } from "@micro-es/postgres";
import { pubsubBroker } from "@micro-es/pubsub";
import { RabbitMqLink, rabbitmqBroker, rabbitmqTransport } from "@micro-es/rabbitmq";
import { redisBroker, redisSource, redisStore, redisSync } from "@micro-es/redis";
import {
  envSource,
  fileSource,
  fileSync,
  flagsSource,
  goMicroTransport,
  gossipRegistry,
  httpBroker,
  httpTransport,
  mdnsRegistry,
  memoryBroker,
  memoryRegistry,
  memorySource,
  memoryStore,
  memorySync,
  memoryTransport,
  mergeRegistries,
  staticRegistry,
  tcpTransport,
} from "@micro-es/runtime";
import { localRuntime } from "@micro-es/runtime/runtime/local";
import { fileStore } from "@micro-es/runtime/store/file";
import { zooKeeperRegistry, zooKeeperSource, zooKeeperSync } from "@micro-es/zookeeper";
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
  "rabbitmqTransport()": rabbitmqTransport({ link: new RabbitMqLink() }),
  "goMicroTransport()": goMicroTransport(),
  "goMicroNatsTransport()": goMicroNatsTransport({ link }),
  "memoryRegistry()": registry,
  "mergeRegistries()": mergeRegistries([memoryRegistry(), mdnsRegistry()]),
  "staticRegistry()": staticRegistry({ services: {} }),
  "mdnsRegistry()": mdnsRegistry(),
  "gossipRegistry()": gossipRegistry(),
  "natsRegistry()": natsRegistry(),
  "goMicroNatsRegistry()": goMicroNatsRegistry(),
  "etcdRegistry()": etcdRegistry(),
  "consulRegistry()": consulRegistry(),
  "zooKeeperRegistry()": zooKeeperRegistry(),
  "dnsRegistry()": dnsRegistry({ domain: "shop.test" }),
  "memoryBroker()": memoryBroker(),
  "httpBroker()": httpBroker({ registry }),
  "natsBroker()": natsBroker(),
  "jetstreamBroker()": jetstreamBroker(),
  "rabbitmqBroker()": rabbitmqBroker(),
  "nsqBroker()": nsqBroker(),
  "redisBroker()": redisBroker(),
  "kafkaBroker()": kafkaBroker(),
  "pubsubBroker()": pubsubBroker(),
  "memoryStore()": memoryStore(),
  "fileStore()": fileStore({ path: folder }),
  "natsStore()": natsStore(),
  "etcdStore()": etcdStore(),
  "redisStore()": redisStore(),
  "postgresStore()": postgresStore(),
  "memorySync()": memorySync(),
  "fileSync()": fileSync({ path: folder }),
  "natsSync()": natsSync(),
  "etcdSync()": etcdSync(),
  "consulSync()": consulSync(),
  "zooKeeperSync()": zooKeeperSync(),
  "redisSync()": redisSync(),
  "postgresSync()": postgresSync(),
  "memorySource()": memorySource(),
  "envSource()": envSource({ prefix: "SHOP_" }),
  "flagsSource()": flagsSource(),
  "fileSource()": fileSource(join(folder, "config.yaml"), { required: false }),
  "natsSource()": natsSource(),
  "etcdSource()": etcdSource(),
  "consulSource()": consulSource(),
  "zooKeeperSource()": zooKeeperSource(),
  "redisSource()": redisSource(),
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
