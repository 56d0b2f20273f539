import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestAuthority } from "@micro-es/test-support/certificates";
import { freePorts } from "@micro-es/test-support/free-ports";
import { type MovedClock, movedClock } from "@micro-es/test-support/moved-clock";
import { memoryFolder, ServerProcess, startAll } from "@micro-es/test-support/server-process";
import { zooKeeperPrograms } from "./servers.ts";

const found = zooKeeperPrograms().at(-1);

/** The version of the ZooKeeper that is started; undefined when there is none. */
export const zooKeeperVersion: string | undefined = found?.version;

if (zooKeeperVersion === undefined) {
  const message =
    "ZooKeeper or Java is not installed, so nothing is tested against it: run test/setup, or set ZOOKEEPER_SERVER to the folder of its jars";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against ZooKeeper do not run without a server; in CI that is an error instead. */
export const skipWithoutZooKeeper = zooKeeperVersion === undefined;

/** A server of a test's own, on free ports and in a directory of its own. */
export interface ZooKeeperServer extends AsyncDisposable {
  /** As the option `servers` takes it. */
  readonly address: string;
  readonly port: number;
  /** As `address`, by TLS; empty without it. */
  readonly secureAddress: string;
  /** Ends it at once; its directory and its ports stay. */
  stop(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Moves its wall clock to this many hours from that of the machine. */
  moveClock(hours: number): void;
  /** Starts it again where it was; resolves when it serves. */
  start(): Promise<void>;
  /** Removes all that it stored, while it is stopped. */
  wipe(): void;
  /** What it responds to a command of four letters. */
  ask(command: string): Promise<string>;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How a server is started. */
export interface ZooKeeperServerOptions {
  /** Further lines of zoo.cfg. */
  readonly settings?: readonly string[];
  /** Issues a certificate for TLS at a further port, where it requires one of each client. */
  readonly authority?: TestAuthority;
  /** Whether its wall clock can be moved. Default: no. */
  readonly hasClock?: boolean;
}

/** An ensemble of one server. */
export async function startZooKeeper(
  options: ZooKeeperServerOptions = {},
): Promise<ZooKeeperServer> {
  const [server] = await startEnsemble(1, options);
  return server as ZooKeeperServer;
}

/** An ensemble of several servers; the first failure ends those that were started. */
export async function startEnsemble(
  count: number,
  { settings = [], authority, hasClock = false }: ZooKeeperServerOptions = {},
): Promise<readonly ZooKeeperServer[]> {
  const ports = await freePorts(4 * count);
  const port = (index: number, kind: 0 | 1 | 2 | 3) => ports[4 * index + kind] ?? 0;
  const indices = Array.from({ length: count }, (_, index) => index);
  const members =
    count === 1
      ? []
      : [
          "initLimit=10",
          "syncLimit=5",
          ...indices.map(
            (index) => `server.${index + 1}=127.0.0.1:${port(index, 1)}:${port(index, 2)}`,
          ),
        ];
  const servers = indices.map((index) =>
    member(
      { id: index + 1, port: port(index, 0), securePort: port(index, 3) },
      [...members, ...settings],
      { authority, hasClock },
    ),
  );
  return startAll(servers);
}

/** The member that leads; undefined while none does. */
export async function leaderOf(
  members: readonly ZooKeeperServer[],
): Promise<ZooKeeperServer | undefined> {
  for (const member of members) {
    const said = await member.ask("srvr").catch(() => "");
    if (said.includes("Mode: leader")) return member;
  }
  return undefined;
}

function member(
  {
    id,
    port,
    securePort,
  }: { readonly id: number; readonly port: number; readonly securePort: number },
  settings: readonly string[],
  {
    authority,
    hasClock,
  }: { readonly authority: TestAuthority | undefined; readonly hasClock: boolean },
): ZooKeeperServer {
  let clock: MovedClock | undefined;
  const command = (directory: string) => ({
    path: "java",
    flags: [
      ...["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"],
      ...["-cp", found?.classPath ?? ""],
      "org.apache.zookeeper.server.quorum.QuorumPeerMain",
      join(directory, "zoo.cfg"),
    ],
    ...(clock === undefined ? {} : { environment: clock.environment }),
    ready: (child: ChildProcess) => ready(port, child),
  });
  // A server waits for its disk with each write.
  const server = new ServerProcess("zookeeper", command, memoryFolder());
  if (hasClock) clock = movedClock(server.directory);
  const data = join(server.directory, "data");
  const prepare = () => {
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, "myid"), `${id}`);
  };
  prepare();
  const lines = [
    "tickTime=500",
    `dataDir=${data}`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    "minSessionTimeout=1000",
    "maxClientCnxns=0",
    "admin.enableServer=false",
    "4lw.commands.whitelist=*",
    "forceSync=no",
    "preAllocSize=1024",
    ...settings,
    ...(authority === undefined ? [] : secured(server.directory, securePort, authority)),
  ];
  writeFileSync(join(server.directory, "zoo.cfg"), `${lines.join("\n")}\n`);
  return {
    address: `127.0.0.1:${port}`,
    port,
    secureAddress: authority === undefined ? "" : `127.0.0.1:${securePort}`,
    start: () => server.start(),
    stop: () => server.stop(),
    signal: (name) => server.signal(name),
    moveClock: (hours) => clock?.move(hours),
    wipe() {
      rmSync(data, { recursive: true, force: true });
      prepare();
    },
    ask: (command) => ask(port, command),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** The settings of TLS, whose files it writes. */
function secured(directory: string, port: number, authority: TestAuthority): readonly string[] {
  const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
  const files = { key: `${own.cert}\n${own.key}`, trust: authority.ca };
  for (const [name, pem] of Object.entries(files)) {
    writeFileSync(join(directory, `${name}.pem`), pem, { mode: 0o600 });
  }
  return [
    `secureClientPort=${port}`,
    "secureClientPortAddress=127.0.0.1",
    "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
    `ssl.keyStore.location=${join(directory, "key.pem")}`,
    `ssl.trustStore.location=${join(directory, "trust.pem")}`,
    "ssl.clientAuth=need",
    "ssl.hostnameVerification=false",
  ];
}

/** Waits until it serves, which a member does when it has a leader. */
async function ready(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const said = await ask(port, "srvr").catch(() => "");
    if (said.includes("Mode:")) return;
    await sleep(20);
  }
}

async function ask(port: number, command: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.setTimeout(2_000, () => socket.destroy(new Error("no response")));
  socket.write(command);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
