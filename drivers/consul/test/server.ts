import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "@micro-es/test-support/free-ports";
import { memoryFolder, ServerProcess, startAll } from "@micro-es/test-support/server-process";
import { consulPrograms } from "./servers.ts";

const [found] = consulPrograms();

/** The version of the Consul that is started; undefined when there is none. */
export const consulVersion: string | undefined = found?.version;

if (consulVersion === undefined) {
  const message =
    "Consul is not installed, so nothing is tested against it: run test/setup, or set CONSUL_SERVER to its path";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against Consul do not run without a server; in CI that is an error instead. */
export const skipWithoutConsul = consulVersion === undefined;

/** An agent of a test's own, which is a server, on free ports and in a directory of its own. */
export interface ConsulServer extends AsyncDisposable {
  /** For clients. */
  readonly url: string;
  readonly port: number;
  /** Whether it leads the servers of its datacenter, by its own account. */
  leads(): Promise<boolean>;
  /** Ends it at once; its directory and its ports stay. */
  stop(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was; resolves when it has a leader. */
  start(): Promise<void>;
  /** Removes all that it stored, while it is stopped. */
  wipe(): void;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How an agent is started. */
export interface ConsulServerOptions {
  /** Further settings, in HCL. */
  readonly settings?: string;
  /** A token that may do everything, for settings with ACLs. */
  readonly token?: string;
  /** The port of DNS, by TCP and UDP. Default: none. */
  readonly dnsPort?: number;
  /** `https` where it listens for TLS alone. Default `http`. */
  readonly scheme?: "http" | "https";
  /** How many client agents follow the servers. Default: none. */
  readonly agents?: number;
  /** Its datacenter, and the ports of the servers there and elsewhere that it joins over WAN. */
  readonly wan?: { readonly datacenter: string; readonly port: number; readonly join: number };
}

/** A datacenter of one server. */
export async function startConsul(options: ConsulServerOptions = {}): Promise<ConsulServer> {
  const [server] = await startServers(1, options);
  return server as ConsulServer;
}

/** Two datacenters of a server each, `dc1` and `dc2`, that join each other. */
export async function startDatacenters(): Promise<readonly [ConsulServer, ConsulServer]> {
  const [one = 0, two = 0] = await freePorts(2);
  const first = await startConsul({ wan: { datacenter: "dc1", port: one, join: two } });
  try {
    return [first, await startConsul({ wan: { datacenter: "dc2", port: two, join: one } })];
  } catch (error) {
    await first.close();
    throw error;
  }
}

/** Three servers, and the agent of a machine that has none of them. */
export interface ConsulCluster {
  readonly agent: ConsulServer;
  readonly servers: readonly ConsulServer[];
  /** Ends all of them. */
  close(): Promise<void>;
}

export async function startCluster(): Promise<ConsulCluster> {
  const all = await startServers(3, { agents: 1 });
  return {
    agent: all[3] as ConsulServer,
    servers: all.slice(0, 3),
    async close() {
      for (const each of all) await each.close();
    },
  };
}

/** The server that leads; undefined while none does. */
export async function leaderOf(
  servers: readonly ConsulServer[],
): Promise<ConsulServer | undefined> {
  for (const server of servers) if (await server.leads()) return server;
  return undefined;
}

/** A datacenter of several servers; the first failure ends those that were started. */
export async function startServers(
  servers: number,
  {
    settings = "",
    token,
    scheme = "http",
    dnsPort = -1,
    wan,
    agents = 0,
  }: ConsulServerOptions = {},
): Promise<readonly ConsulServer[]> {
  const count = servers + agents;
  const ports = await freePorts(3 * count);
  const port = (index: number, kind: 0 | 1 | 2) => ports[3 * index + kind] ?? 0;
  const names = Array.from({ length: count }, (_, index) => index);
  const started = names.map((index) => {
    const joins = names
      .filter((other) => other !== index)
      .flatMap((other) => ["-retry-join", `127.0.0.1:${port(other, 1)}`]);
    const flags = [
      ...["agent", `-node=n${index}`],
      ...(index < servers ? ["-server", `-bootstrap-expect=${servers}`] : []),
      ...["-bind=127.0.0.1", "-client=127.0.0.1", `-dns-port=${dnsPort}`],
      // Versions from 1.14 on listen for gRPC by TLS, at one port for all.
      ...(Number(consulVersion?.split(".")[1]) < 14 ? [] : ["-grpc-tls-port=-1"]),
      ...(wan === undefined
        ? ["-serf-wan-port=-1"]
        : [
            ...[`-datacenter=${wan.datacenter}`, `-serf-wan-port=${wan.port}`],
            ...["-retry-join-wan", `127.0.0.1:${wan.join}`, "-retry-interval-wan=1s"],
          ]),
      ...[scheme === "http" ? `-http-port=${port(index, 0)}` : `-https-port=${port(index, 0)}`],
      ...(scheme === "http" ? [] : ["-http-port=-1"]),
      ...[`-serf-lan-port=${port(index, 1)}`, `-server-port=${port(index, 2)}`],
      ...[...joins, "-retry-interval=1s", "-log-level=err"],
      ...["-hcl", `performance { raft_multiplier = 1 } disable_update_check = true ${settings}`],
    ];
    const url = `${scheme}://127.0.0.1:${port(index, 0)}`;
    return agent({ url, port: port(index, 0), peerPort: port(index, 2) }, flags, token);
  });
  return startAll(started);
}

function agent(
  {
    url,
    port,
    peerPort,
  }: { readonly url: string; readonly port: number; readonly peerPort: number },
  flags: readonly string[],
  token: string | undefined,
): ConsulServer {
  const dataOf = (directory: string) => join(directory, "data");
  const command = (directory: string) => ({
    path: found?.path ?? "consul",
    flags: [...flags, `-data-dir=${dataOf(directory)}`],
    ready: (child: ChildProcess) => ready(url, child, token),
  });
  // A server waits for its disk with each write.
  const server = new ServerProcess("consul", command, memoryFolder());
  return {
    url,
    port,
    async leads() {
      if (!server.running) return false;
      const response = await fetch(`${url}/v1/status/leader`, {
        signal: AbortSignal.timeout(2_000),
      }).catch(() => undefined);
      return (await response?.text()) === `"127.0.0.1:${peerPort}"`;
    },
    start: () => server.start(),
    stop: () => server.stop(),
    signal: (name) => server.signal(name),
    wipe: () => rmSync(dataOf(server.directory), { recursive: true, force: true }),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** Waits until it takes a write, which needs a leader; by TLS only until it listens. */
async function ready(url: string, child: ChildProcess, token = ""): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const response = await fetch(`${url}/v1/kv/test-ready`, {
        method: "PUT",
        body: "x",
        headers: { "x-consul-token": token },
        signal: AbortSignal.timeout(2_000),
      });
      if (response.ok) return;
    } catch (error) {
      // It listens, and has a certificate that this process does not trust, or asks for one.
      const { code = "" } = ((error as Error).cause ?? {}) as { code?: string };
      if (url.startsWith("https:") && !/ECONNREFUSED/.test(code)) return;
    }
    await sleep(20);
  }
}
