import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "@micro-es/test-support/free-ports";
import { ServerProcess, startAll } from "@micro-es/test-support/server-process";
import { etcdPrograms } from "./servers.ts";

/** The newest, unless `ETCD_SERVER` names another one. */
const found = etcdPrograms().at(-1);

/** The version of the etcd that is started; undefined when there is none. */
export const etcdVersion: string | undefined = found?.version;

if (etcdVersion === undefined) {
  const message =
    "etcd is not installed, so nothing is tested against it: run test/setup, or set ETCD_SERVER to its path";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against etcd do not run without a server; in CI that is an error instead. */
export const skipWithoutEtcd = etcdVersion === undefined;

/** A member of an etcd cluster of a test's own, on free ports and in a directory of its own. */
export interface EtcdServer extends AsyncDisposable {
  /** For clients. */
  readonly url: string;
  /** For tools without TLS; the same as `url` unless that is `https`. */
  readonly plainUrl: string;
  readonly running: boolean;
  readonly port: number;
  /** Ends it at once, or gently; its directory and its ports stay. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was; resolves when it has a leader. */
  start(): Promise<void>;
  /** Removes all that it stored, while it is stopped. */
  wipe(): void;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How a member is started. */
export interface EtcdServerOptions {
  /** Further flags. */
  readonly flags?: readonly string[];
  /** `https` where the flags say so. Default `http`. */
  readonly scheme?: "http" | "https";
}

/** A cluster of one. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<EtcdServer> {
  const [server] = await startCluster(1, options);
  return server as EtcdServer;
}

/** A cluster of several members; the first failure ends those that were started. */
export async function startCluster(
  members: number,
  { flags = [], scheme = "http" }: EtcdServerOptions = {},
): Promise<readonly EtcdServer[]> {
  const ports = await freePorts(3 * members);
  const peers = Array.from({ length: members }, (_, index) => {
    return {
      name: `m${index}`,
      port: ports[3 * index],
      peer: `http://127.0.0.1:${ports[3 * index + 1]}`,
      plain: `http://127.0.0.1:${ports[3 * index + 2]}`,
    };
  });
  const cluster = peers.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const servers = peers.map(({ name, port = 0, peer, plain }) => {
    const url = `${scheme}://127.0.0.1:${port}`;
    const plainUrl = scheme === "http" ? url : plain;
    const listens = [...new Set([url, plainUrl])].join(",");
    const own = [
      ...["--name", name, "--listen-client-urls", listens, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
      ...["--initial-cluster", cluster, "--unsafe-no-fsync", "--log-level", "warn"],
    ];
    return member({ url, plainUrl, port }, [...own, ...flags]);
  });
  return startAll(servers);
}

function member(
  place: Pick<EtcdServer, "url" | "plainUrl" | "port">,
  flags: readonly string[],
): EtcdServer {
  const dataOf = (directory: string) => join(directory, "data");
  const server = new ServerProcess("etcd", (directory) => ({
    path: found?.path ?? "etcd",
    flags: ["--data-dir", dataOf(directory), ...flags],
    ready: (child) => ready(place.plainUrl, child),
  }));
  return {
    ...place,
    get running() {
      return server.running;
    },
    start: () => server.start(),
    stop: (signal) => server.stop(signal),
    signal: (name) => server.signal(name),
    wipe: () => rmSync(dataOf(server.directory), { recursive: true, force: true }),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** Waits until a member says that it is healthy, which needs a leader. */
async function ready(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) });
      if (response.ok) return;
    } catch {
      // It does not listen yet.
    }
    await sleep(20);
  }
}
