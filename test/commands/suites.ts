import { checks } from "./check.ts";

/** How much is run: `short` by `npm test`, more by `--ci`, everything by `--long`. */
export const levels = ["short", "ci", "long"] as const;
export type Level = (typeof levels)[number];

/** A part of `npm test`. */
export interface Suite {
  readonly name: string;
  /** A project of vitest.config.ts, or an npm script with arguments, which counts as one test. */
  readonly runs: { readonly project: string } | { readonly script: readonly string[] };
  /** The packages that it tests as they are built. */
  readonly builds?: readonly string[];
  /** The lowest level that includes it. */
  readonly from: Level;
  /**
   * Whether it runs together with the suites before and after it of which this is true too, so that
   * the processor has work while the slowest file of one waits for its server.
   */
  readonly together?: boolean;
  /** Whether `--ci` runs it on one supported version of Node, in turns, and `--long` on all. */
  readonly onEveryNode?: boolean;
}

const script = (name: string, ...words: readonly string[]): Suite => ({
  name,
  runs: { script: words },
  from: "ci",
});

/** The tests of a driver against its servers. */
const onServers = (name: string, project: string): Suite => ({
  name,
  runs: { project },
  from: "ci",
  together: true,
});

/** Shows that a checker can fail, which changes with the checker only. */
const inLongRuns = (name: string, ...words: readonly string[]): Suite => ({
  ...script(name, ...words),
  from: "long",
});

/** In the order in which they run. */
export const suites: readonly Suite[] = [
  ...Object.keys(checks).map((name): Suite => ({ ...script(name, "check", name), from: "short" })),
  { name: "unit", runs: { project: "unit*" }, from: "short", onEveryNode: true },
  {
    name: "cli",
    runs: { project: "cli" },
    builds: [
      "protoc-gen-micro",
      "runtime",
      "drivers/nats",
      "drivers/etcd",
      "drivers/consul",
      "drivers/dns",
      "drivers/zookeeper",
      "drivers/rabbitmq",
      "drivers/nsq",
      "drivers/redis",
      "drivers/postgres",
      "drivers/kafka",
      "drivers/pubsub",
      "cli",
    ],
    from: "short",
  },
  { name: "e2e", runs: { project: "e2e" }, from: "ci", onEveryNode: true },
  { name: "hostile", runs: { project: "hostile" }, from: "ci", onEveryNode: true },
  onServers("nats", "nats*"),
  onServers("etcd", "etcd*"),
  onServers("consul", "consul*"),
  onServers("dns", "dns"),
  onServers("zookeeper", "zookeeper*"),
  onServers("rabbitmq", "rabbitmq"),
  onServers("nsq", "nsq"),
  onServers("redis", "redis"),
  onServers("kafka", "kafka"),
  onServers("pubsub", "pubsub"),
  onServers("postgres", "postgres*"),
  script("etcd-faults", "faults", "etcd"),
  script("consul-faults", "faults", "consul"),
  script("auth-faults", "faults", "auth"),
  script("nats-faults", "faults", "nats"),
  script("zookeeper-faults", "faults", "zookeeper"),
  script("gossip-faults", "faults", "gossip"),
  script("rolling-restart", "faults", "http", "--long", "R1"),
  script("nsq-faults", "faults", "nsq"),
  script("redis-faults", "faults", "redis"),
  script("pubsub-faults", "faults", "pubsub"),
  script("rabbitmq-faults", "faults", "rabbitmq"),
  script("kafka-faults", "faults", "kafka"),
  script("postgres-faults", "faults", "postgres"),
  script("dns-faults", "faults", "dns"),
  script("server-faults", "faults", "http", "R2", "R3", "R9"),
  script("interop", "interop", "grpc"),
  inLongRuns("interop-planted", "interop", "grpc", "--plant"),
  script("h2spec", "interop", "h2spec"),
  inLongRuns("h2spec-planted", "interop", "h2spec", "--plant"),
  script("hpack", "interop", "hpack"),
  script("hpack-planted", "interop", "hpack", "--plant", "--count", "1000"),
  script("googleapis", "interop", "googleapis", "--part"),
  script("conformance", "interop", "conformance"),
  script("connect-conformance", "interop", "connect-conformance"),
  script("runtimes", "interop", "runtimes"),
  script("attacks", "fuzz", "attacks", "--short"),
  script("googleapis-codecs", "fuzz", "googleapis", "--part"),
  script("codec-fuzz", "fuzz", "codec"),
  // Speed is judged with --check on a quiet machine; these fail only where it has become far worse.
  script("codegen-speed", "bench", "codegen", "--guard", "--repeat", "3"),
  script("codec-speed", "bench", "codec", "--guard", "--processes", "2"),
  script("frame-fuzz", "fuzz", "frames", "--count", "300000"),
  script("dns-fuzz", "fuzz", "dns", "--count", "40000"),
  script("http2-fuzz", "fuzz", "http2-frames", "--count", "200000"),
];

/** The suite of the tests in given files, whatever their project. */
export const anyProject: Suite = { name: "tests", runs: { project: "*" }, from: "short" };

export function suitesOf(level: Level): readonly Suite[] {
  return suites.filter(({ from }) => levels.indexOf(from) <= levels.indexOf(level));
}
