import { type ChildProcess, execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePorts } from "@micro-es/test-support/free-ports";
import { memoryFolder, ServerProcess } from "@micro-es/test-support/server-process";
import { rabbitMqPrograms } from "./servers.ts";

const found = rabbitMqPrograms()[0];

/** The version of the RabbitMQ that is started; undefined when there is none. */
export const rabbitMqVersion: string | undefined = found?.version;

if (rabbitMqVersion === undefined) {
  const message =
    "RabbitMQ is not installed, so nothing is tested against it: run test/setup, or set RABBITMQ_SERVER to the root of a system that has it";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against RabbitMQ do not run without a server; in CI that is an error instead. */
export const skipWithoutRabbitMq = rabbitMqVersion === undefined;

/** A server of a test's own, on free ports and in a directory of its own. */
export interface RabbitMqServer extends AsyncDisposable {
  /** As the option `servers` takes it. */
  readonly address: string;
  readonly port: number;
  readonly node: string;
  /** Ends it at once, or gently; its directory and its ports stay. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was; resolves when it serves. */
  start(): Promise<void>;
  /** Runs rabbitmqctl; resolves with its output. */
  control(...words: readonly string[]): Promise<string>;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How a server is started. */
export interface RabbitMqServerOptions {
  /** Further lines of rabbitmq.conf. */
  readonly settings?: readonly string[];
  /** The text of advanced.config. */
  readonly advanced?: string;
  /** Where clients connect if not on the port of plain AMQP. */
  readonly port?: number;
}

/** A cluster of one server. */
export async function startRabbitMq(options: RabbitMqServerOptions = {}): Promise<RabbitMqServer> {
  const [server] = await startCluster(1, options);
  return server as RabbitMqServer;
}

/** Servers of one cluster; the first failure ends those that were started. */
export async function startCluster(
  count: number,
  options: RabbitMqServerOptions = {},
): Promise<readonly RabbitMqServer[]> {
  const [epmdPort = 0, ...ports] = await freePorts(1 + 2 * count);
  const epmd = new EpmdProcess(epmdPort);
  const servers: RabbitMqServer[] = [];
  try {
    await epmd.start();
    for (let index = 0; index < count; index++) {
      const [port = 0, dist = 0] = ports.slice(2 * index, 2 * index + 2);
      // The server closes epmd with the last of them.
      const server = member(`m${index}`, port, dist, epmdPort, options, async () => {
        servers.splice(servers.indexOf(server), 1);
        if (servers.length === 0) await epmd.close();
      });
      servers.push(server);
    }
    const all = [...servers];
    await Promise.all(all.map((server) => server.start()));
    for (const server of all.slice(1)) {
      await server.control("stop_app");
      await server.control("join_cluster", all[0]?.node ?? "");
      await server.control("start_app");
    }
    return all;
  } catch (error) {
    for (const server of [...servers]) await server.close();
    await epmd.close();
    throw error;
  }
}

/** The processes of Erlang find each other by epmd, which the first would leave behind. */
class EpmdProcess extends ServerProcess {
  constructor(port: number) {
    super("epmd", () => ({
      path: "epmd",
      flags: ["-port", `${port}`, "-address", "127.0.0.1"],
      ready: (child) => listening(port, child),
    }));
  }
}

function member(
  name: string,
  port: number,
  dist: number,
  epmdPort: number,
  { settings = [], advanced, port: shownPort }: RabbitMqServerOptions,
  closed: () => Promise<void>,
): RabbitMqServer {
  const root = found?.root === "/" ? "" : (found?.root ?? "");
  const node = `${name}@localhost`;
  const environment = (directory: string) => {
    const inside = directory.slice(root.length);
    return [
      `HOME=${inside}`,
      `ERL_EPMD_PORT=${epmdPort}`,
      "ERL_EPMD_ADDRESS=127.0.0.1",
      `RABBITMQ_NODENAME=${node}`,
      "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
      `RABBITMQ_NODE_PORT=${port}`,
      `RABBITMQ_DIST_PORT=${dist}`,
      "RABBITMQ_CONF_ENV_FILE=/dev/null",
      `RABBITMQ_CONFIG_FILE=${inside}/rabbit.conf`,
      `RABBITMQ_ADVANCED_CONFIG_FILE=${inside}/advanced.config`,
      `RABBITMQ_ENABLED_PLUGINS_FILE=${inside}/plugins`,
      `RABBITMQ_MNESIA_BASE=${inside}/data`,
      `RABBITMQ_LOG_BASE=${inside}/log`,
      `RABBITMQ_GENERATED_CONFIG_DIR=${inside}/generated`,
      `RABBITMQ_PID_FILE=${inside}/pid`,
      "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
      "RABBITMQ_CTL_DIST_PORT_MIN=0",
      "RABBITMQ_CTL_DIST_PORT_MAX=0",
      // Erlang takes the place of the script, so that a signal reaches it.
      "RUNNING_UNDER_SYSTEMD=true",
    ];
  };
  const program = (directory: string, script: string, ...words: readonly string[]) => {
    const flags = [...environment(directory), `/usr/lib/rabbitmq/bin/${script}`, ...words];
    return root === ""
      ? { path: "env", flags }
      : { path: "chroot", flags: [root, "/usr/bin/env", ...flags] };
  };
  const command = (directory: string) => ({
    ...program(directory, "rabbitmq-server"),
    ready: (child: ChildProcess) => listening(port, child),
  });
  // A server waits for its disk with each event.
  const server = new ServerProcess(
    "rabbitmq",
    command,
    root === "" ? memoryFolder() : `${root}/tmp`,
  );
  const { directory } = server;
  for (const folder of ["data", "log"]) mkdirSync(join(directory, folder));
  writeFileSync(join(directory, ".erlang.cookie"), "MICROTESTS", { mode: 0o400 });
  writeFileSync(join(directory, "plugins"), "[].");
  const lines = [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    "loopback_users = none",
    "log.console = false",
    "disk_free_limit.absolute = 50MB",
    ...settings,
  ];
  writeFileSync(join(directory, "rabbit.conf"), `${lines.join("\n")}\n`);
  if (advanced !== undefined) writeFileSync(join(directory, "advanced.config"), advanced);
  const close = async () => {
    await server.close();
    await closed();
  };
  return {
    address: `127.0.0.1:${shownPort ?? port}`,
    port: shownPort ?? port,
    node,
    start: () => server.start(),
    stop: (signal) => server.stop(signal),
    signal: (name) => server.signal(name),
    async control(...words) {
      const { path, flags } = program(directory, "rabbitmqctl", "-q", "-n", node, ...words);
      return (await promisify(execFile)(path, flags)).stdout;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Waits until a port accepts connections, which that of AMQP does once the server serves. */
async function listening(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.once("error", () => resolve(false));
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
    });
    if (isOpen) return;
    await sleep(50);
  }
}
