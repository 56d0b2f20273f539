import { availableParallelism } from "node:os";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { consulPrograms } from "./drivers/consul/test/servers.ts";
import { etcdPrograms } from "./drivers/etcd/test/servers.ts";
import { natsPrograms } from "./drivers/nats/test/servers.ts";
import { postgresPrograms } from "./drivers/postgres/test/servers.ts";
import { folderOf, zooKeeperPrograms } from "./drivers/zookeeper/test/servers.ts";

const conditions = ["@micro-es/source", "module", "node", "default"];
const notTests = ["**/node_modules/**", "**/dist/**"];

type TestOptions = NonNullable<TestProjectInlineConfiguration["test"]>;

function project(name: string, test: TestOptions): TestProjectInlineConfiguration {
  return {
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      name,
      pool: "forks",
      // Most tests wait for sockets and processes in between.
      maxWorkers: availableParallelism() + 1,
      testTimeout: 20_000,
      hookTimeout: 30_000,
      // A condition that is awaited may take its time on a busy machine; the default is one second.
      expect: { poll: { timeout: 10_000, interval: 10 } },
      ...test,
      exclude: [...notTests, ...(test.exclude ?? [])],
    },
  };
}

/** Tests that replace modules, which a file that shares its process with others cannot. */
const withMocks = [
  "runtime/src/auth/load-jose.test.ts",
  "runtime/src/base/dialable-address.test.ts",
  "runtime/src/store/file/library.test.ts",
];

/** The files of a worker share its process: loading the sources for each takes half of the time. */
const unit = project("unit", {
  include: ["{protoc-gen-micro,runtime,drivers,examples,test}/**/*.test.ts"],
  exclude: ["test/end-to-end/**", "drivers/*/test/**", "test/hostile/**", ...withMocks],
  isolate: false,
});

const unitWithMocks = project("unit with mocks", { include: withMocks });

/**
 * Tests of the built program `micro`; `npm test -- cli` builds it first. Each starts several
 * processes.
 */
const cli = project("cli", {
  include: ["cli/test/**/*.test.ts"],
  globalSetup: "cli/test/support/bundled-plugins.ts",
  testTimeout: 240_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 60_000, interval: 20 } },
});

const endToEnd = project("e2e", {
  include: ["test/end-to-end/**/*.test.ts"],
  globalSetup: "test/end-to-end/packed-packages.ts",
  testTimeout: 180_000,
  hookTimeout: 600_000,
});

/** One file after another: a hostile test measures the memory and CPU time of its own server. */
const hostile = project("hostile", {
  include: ["test/hostile/**/*.test.ts"],
  testTimeout: 180_000,
  hookTimeout: 60_000,
  fileParallelism: false,
});

/** The tests against nats-server, once for each installed version; test/setup installs them. */
function natsProjects(): TestProjectInlineConfiguration[] {
  const nats = (name: string, env: Record<string, string>, exclude: string[] = []) =>
    project(name, {
      include: ["drivers/nats/test/**/*.test.ts"],
      exclude,
      env,
      testTimeout: 60_000,
      hookTimeout: 60_000,
    });
  const programs = natsPrograms();
  // Without a server the tests are skipped with a message, and fail in CI.
  if (programs.length === 0) return [nats("nats", {})];
  const newest = programs.length - 1;
  return programs.map(({ path, version }, index) =>
    nats(
      `nats ${version}`,
      { NATS_SERVER: path },
      // TLS and credentials are tested with the newest server alone.
      index === newest ? [] : ["drivers/nats/test/secured.test.ts"],
    ),
  );
}

/** The tests against etcd, once for each installed version; test/setup installs them. */
function etcdProjects(): TestProjectInlineConfiguration[] {
  const etcd = (name: string, env: Record<string, string>, exclude: string[] = []) =>
    project(name, {
      include: ["drivers/etcd/test/**/*.test.ts"],
      exclude,
      env,
      testTimeout: 60_000,
      hookTimeout: 60_000,
    });
  const programs = etcdPrograms();
  // Without a server the tests are skipped with a message, and fail in CI.
  if (programs.length === 0) return [etcd("etcd", {})];
  const newest = programs.length - 1;
  return programs.map(({ path, version }, index) =>
    etcd(
      `etcd ${version}`,
      { ETCD_SERVER: path },
      // TLS and users, and a cluster, are tested with the newest server alone.
      index === newest ? [] : ["secured", "secured-parts", "cluster"].map(etcdTest),
    ),
  );
}

function etcdTest(name: string): string {
  return `drivers/etcd/test/${name}.test.ts`;
}

/** The tests against Consul, once for each installed version; test/setup installs them. */
function consulProjects(): TestProjectInlineConfiguration[] {
  const consul = (name: string, env: Record<string, string>) =>
    project(name, {
      include: ["drivers/consul/test/**/*.test.ts"],
      env,
      testTimeout: 60_000,
      hookTimeout: 60_000,
    });
  const programs = consulPrograms();
  // Without a server the tests are skipped with a message, and fail in CI.
  if (programs.length === 0) return [consul("consul", {})];
  return programs.map(({ path, version }) => consul(`consul ${version}`, { CONSUL_SERVER: path }));
}

/** The tests against ZooKeeper, once for each installed version; test/setup installs them. */
function zooKeeperProjects(): TestProjectInlineConfiguration[] {
  const zooKeeper = (name: string, env: Record<string, string>, exclude: string[] = []) =>
    project(name, {
      include: ["drivers/zookeeper/test/**/*.test.ts"],
      exclude,
      env,
      testTimeout: 60_000,
      hookTimeout: 60_000,
    });
  const programs = zooKeeperPrograms();
  // Without a server the tests are skipped with a message, and fail in CI.
  if (programs.length === 0) return [zooKeeper("zookeeper", {})];
  const newest = programs.length - 1;
  return programs.map((program, index) =>
    zooKeeper(
      `zookeeper ${program.version}`,
      { ZOOKEEPER_SERVER: folderOf(program) },
      // TLS and users, and an ensemble, are tested with the newest server alone.
      index === newest
        ? []
        : ["secured", "ensemble"].map((name) => `drivers/zookeeper/test/${name}.test.ts`),
    ),
  );
}

/**
 * The tests against PostgreSQL, with the oldest version that test/setup installs; the others are
 * tested when `POSTGRES_SERVER` names the folder of their programs.
 */
function postgresProject(): TestProjectInlineConfiguration {
  const [program] = postgresPrograms();
  return project(program === undefined ? "postgres" : `postgres ${program.version}`, {
    include: ["drivers/postgres/test/**/*.test.ts"],
    env: program === undefined ? {} : { POSTGRES_SERVER: program.path },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  });
}

const dns = project("dns", {
  include: ["drivers/dns/test/**/*.test.ts"],
  testTimeout: 120_000,
  hookTimeout: 60_000,
  // A lookup that fails takes three seconds, and an NSD that starts has taken five.
  expect: { poll: { timeout: 30_000, interval: 20 } },
});

/** The tests against Redis, or the server that `REDIS_SERVER` names. */
const redis = project("redis", {
  include: ["drivers/redis/test/**/*.test.ts"],
  testTimeout: 60_000,
  hookTimeout: 60_000,
});

/** The tests against a fake nsqd, or the nsqd whose path is in `NSQD`. */
const nsq = project("nsq", {
  include: ["drivers/nsq/test/**/*.test.ts"],
  testTimeout: 60_000,
  hookTimeout: 60_000,
});

/** The tests against Google's fake of Pub/Sub, which test/setup builds. */
const pubsub = project("pubsub", {
  include: ["drivers/pubsub/test/**/*.test.ts"],
  testTimeout: 60_000,
});

/** The tests against one RabbitMQ, which is slow to start; `RABBITMQ_SERVER` chooses another. */
const rabbitmq = project("rabbitmq", {
  include: ["drivers/rabbitmq/test/**/*.test.ts"],
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 20_000, interval: 20 } },
});

/** The tests against Kafka, whose server of Java is slow to start. */
const kafka = project("kafka", {
  include: ["drivers/kafka/test/**/*.test.ts"],
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 20_000, interval: 20 } },
});

export default defineConfig({
  test: {
    projects: [
      unit,
      unitWithMocks,
      cli,
      endToEnd,
      hostile,
      ...natsProjects(),
      ...etcdProjects(),
      ...consulProjects(),
      dns,
      ...zooKeeperProjects(),
      rabbitmq,
      nsq,
      redis,
      kafka,
      pubsub,
      postgresProject(),
    ],
  },
});
