import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "@micro-es/test-support/free-ports";
import { memoryFolder, ServerProcess } from "@micro-es/test-support/server-process";
import { redisPrograms } from "./servers.ts";

const [found] = redisPrograms();

/** The version of the server that is started; undefined when there is none. */
export const redisVersion: string | undefined = found?.version;

if (redisVersion === undefined) {
  const message =
    "redis-server is not installed, so nothing is tested against it: run test/setup, or set REDIS_SERVER to its path";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against Redis do not run without a server; in CI that is an error instead. */
export const skipWithoutRedis = redisVersion === undefined;

/** A server of a test's own, on a free port and in a directory of its own. */
export interface RedisServer extends AsyncDisposable {
  /** For clients. */
  readonly address: string;
  readonly port: number;
  readonly running: boolean;
  /** Ends it at once, or gently; its directory and its port stay. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was. */
  start(): Promise<void>;
  /** Removes all that it stored, while it is stopped. */
  wipe(): void;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How a server is started. */
export interface RedisServerOptions {
  /** Further settings, such as `["--appendfsync", "always"]`. */
  readonly flags?: readonly string[];
  /** Whether its port is for TLS, as the flags configure it. */
  readonly tls?: boolean;
}

/** A server that keeps every write in an append-only file. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const [port = 0] = await freePorts(1);
  const { flags = [], tls = false } = options;
  const ports = tls ? ["--port", "0", "--tls-port", `${port}`] : ["--port", `${port}`];
  const dataOf = (directory: string) => join(directory, "appendonlydir");
  const server = new ServerProcess(
    "redis",
    (directory) => ({
      path: found?.path ?? "redis-server",
      flags: [
        ...[...ports, "--bind", "127.0.0.1", "--dir", directory, "--save", ""],
        ...["--appendonly", "yes", "--appendfsync", "always", ...flags],
      ],
      ready: (child) => ready(port, child, !tls),
    }),
    memoryFolder(),
  );
  try {
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return {
    address: `127.0.0.1:${port}`,
    port,
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

/** Waits until a server responds; with TLS, until it listens. */
async function ready(port: number, child: ChildProcess, responds: boolean): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    if (await isUp(port, responds)) return;
    await sleep(10);
  }
}

function isUp(port: number, responds: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      if (!responds) end(true);
      else socket.write("PING\r\n");
    });
    const end = (isReady: boolean) => {
      socket.destroy();
      resolve(isReady);
    };
    // A server that needs a password is up as well.
    socket.on("data", (bytes) => end(/^(\+PONG|-NOAUTH)/.test(bytes.toString())));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
  });
}
