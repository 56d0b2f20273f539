import { type ChildProcess, execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { TestAuthority } from "@micro-es/test-support/certificates";
import { freePorts } from "@micro-es/test-support/free-ports";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { memoryFolder, ServerProcess } from "@micro-es/test-support/server-process";
import { apiVersionsV3, Connection } from "@platformatic/kafka";
import { kafkaPrograms } from "./servers.ts";

const found = kafkaPrograms().at(-1);

/** The version of the Kafka that is started; undefined when there is none. */
export const kafkaVersion: string | undefined = found?.version;

if (kafkaVersion === undefined) {
  const message =
    "Kafka or Java is not installed, so nothing is tested against it: run test/setup, or set KAFKA_SERVER to the folder of its jars";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against Kafka do not run without a server; in CI that is an error instead. */
export const skipWithoutKafka = kafkaVersion === undefined;

/** A cluster of one server, which is broker and controller, in a directory of its own. */
export interface KafkaServer extends AsyncDisposable {
  /** For clients. */
  readonly address: string;
  readonly port: number;
  readonly running: boolean;
  /** As `address`, by TLS, where users authenticate by password. */
  readonly secureAddress: string;
  /** As `address`, by TLS, where clients need a certificate. */
  readonly mutualAddress: string;
  /** Starts a proxy that clients stay behind, although brokers name their own addresses. */
  proxy(index?: number): Promise<FaultProxy>;
  /** Ends it at once, or gently; its directory and its ports stay. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was. */
  start(): Promise<void>;
  /** Removes all that it stored, while it is stopped. */
  wipe(): Promise<void>;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** Ports for TLS. */
export interface KafkaSecurity {
  /** Issues the certificate of the server, and those of clients. */
  readonly authority: TestAuthority;
  readonly user: string;
  readonly password: string;
}

/** How a server is started. */
export interface KafkaServerOptions {
  /** Further lines of its configuration. */
  readonly settings?: readonly string[];
  readonly security?: KafkaSecurity;
  /** The number of proxies that it may have. Default 0. */
  readonly proxies?: number;
}

const flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const clusterId = "bWljcm8tZXMtdGVzdC1rZg";

export async function startKafka({
  settings = [],
  security,
  proxies = 0,
}: KafkaServerOptions = {}): Promise<KafkaServer> {
  const [port = 0, controllerPort = 0, securePort = 0, mutualPort = 0, ...others] = await freePorts(
    4 + 2 * proxies,
  );
  const behind = Array.from({ length: proxies }, (_, index) => ({
    port: others[2 * index] ?? 0,
    advertised: others[2 * index + 1] ?? 0,
  }));
  const command = (directory: string) => ({
    path: "java",
    flags: [
      ...["-Xmx320m", ...flags, "-cp", found?.classPath ?? ""],
      ...["kafka.Kafka", join(directory, "server.properties")],
    ],
    ready: (child: ChildProcess) => ready(port, child),
  });
  // A server waits for its disk with each segment.
  const server = new ServerProcess("kafka", command, memoryFolder());
  const data = join(server.directory, "data");
  const configuration = join(server.directory, "server.properties");
  const lines = [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    "controller.listener.names=CONTROLLER",
    `log.dirs=${data}`,
    "num.network.threads=2",
    "num.io.threads=4",
    "offsets.topic.num.partitions=4",
    "offsets.topic.replication.factor=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    "group.min.session.timeout.ms=500",
    "auto.create.topics.enable=false",
    "log.index.size.max.bytes=65536",
    "log.cleaner.enable=false",
    ...listeners([
      { name: "PLAINTEXT", port },
      { name: "CONTROLLER", port: controllerPort },
      ...(security === undefined
        ? []
        : [
            { name: "SECURE", port: securePort },
            { name: "MUTUAL", port: mutualPort },
          ]),
      ...behind.map((ports, index) => ({ name: `PROXY${index}`, ...ports })),
    ]),
    ...(security === undefined ? [] : securitySettings(server.directory, security)),
    ...settings,
  ];
  const format = async () => {
    mkdirSync(data, { recursive: true });
    writeFileSync(configuration, `${lines.join("\n")}\n`);
    const scram =
      security === undefined
        ? []
        : ["--add-scram", `SCRAM-SHA-512=[name=${security.user},password=${security.password}]`];
    await promisify(execFile)("java", [
      ...["-Xmx128m", ...flags, "-cp", found?.classPath ?? "", "kafka.tools.StorageTool"],
      ...["format", "-t", clusterId, "-c", configuration, ...scram],
    ]);
  };
  try {
    await format();
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return {
    address: `127.0.0.1:${port}`,
    port,
    secureAddress: `127.0.0.1:${securePort}`,
    mutualAddress: `127.0.0.1:${mutualPort}`,
    proxy: (index = 0) =>
      FaultProxy.start(behind[index]?.port ?? 0, behind[index]?.advertised ?? 0),
    get running() {
      return server.running;
    },
    start: () => server.start(),
    stop: (signal) => server.stop(signal),
    signal: (name) => server.signal(name),
    async wipe() {
      rmSync(data, { recursive: true, force: true });
      await format();
    },
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

interface KafkaListener {
  readonly name: string;
  readonly port: number;
  /** The port that clients are told. Default: the same. */
  readonly advertised?: number;
}

const protocols: Readonly<Record<string, string>> = { SECURE: "SASL_SSL", MUTUAL: "SSL" };

function listeners(all: readonly KafkaListener[]): readonly string[] {
  const address = (name: string, port: number) => `${name}://127.0.0.1:${port}`;
  const brokers = all.filter(({ name }) => name !== "CONTROLLER");
  return [
    `listeners=${all.map(({ name, port }) => address(name, port)).join()}`,
    `advertised.listeners=${brokers.map(({ name, port, advertised = port }) => address(name, advertised)).join()}`,
    `listener.security.protocol.map=${all.map(({ name }) => `${name}:${protocols[name] ?? "PLAINTEXT"}`).join()}`,
  ];
}

/** The settings of TLS, whose files it writes, and of the user. */
function securitySettings(
  directory: string,
  { authority, user, password }: KafkaSecurity,
): readonly string[] {
  const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
  const files = { key: `${own.cert}\n${own.key}`, trust: authority.ca };
  for (const [name, pem] of Object.entries(files)) {
    writeFileSync(join(directory, `${name}.pem`), pem, { mode: 0o600 });
  }
  const secure = "listener.name.secure";
  const login = "org.apache.kafka.common.security";
  const plain = `${login}.plain.PlainLoginModule required user_${user}="${password}";`;
  return [
    "ssl.keystore.type=PEM",
    `ssl.keystore.location=${join(directory, "key.pem")}`,
    "ssl.truststore.type=PEM",
    `ssl.truststore.location=${join(directory, "trust.pem")}`,
    "listener.name.mutual.ssl.client.auth=required",
    `${secure}.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN`,
    `${secure}.scram-sha-512.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
    `${secure}.plain.sasl.jaas.config=${plain}`,
  ];
}

/** Waits until it serves as a broker. */
async function ready(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    if ((await listens(port)) && (await responds(port))) return;
    await sleep(50);
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => end(true));
    const end = (isUp: boolean) => {
      socket.destroy();
      resolve(isUp);
    };
    socket.on("error", () => end(false));
  });
}

async function responds(port: number): Promise<boolean> {
  const connection = new Connection("test", { connectTimeout: 2_000, requestTimeout: 2_000 });
  connection.on("error", () => {});
  try {
    await connection.connect("127.0.0.1", port);
    await apiVersionsV3.api.async(connection, "test", "1");
    return true;
  } catch {
    return false;
  } finally {
    connection.socket?.destroy();
  }
}
