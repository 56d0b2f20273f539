import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { natsPrograms } from "./servers.ts";

const found = natsPrograms()[0];

/** The version of the nats-server that is started; undefined when there is none. */
export const natsVersion: string | undefined = found?.version;

if (natsVersion === undefined) {
  const message =
    "nats-server is not installed, so nothing is tested against NATS: run test/setup, or set NATS_SERVER to its path";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

/** Tests against NATS do not run without a server; in CI that is an error instead. */
export const skipWithoutNats = natsVersion === undefined;

/** A nats-server of a test's own, on a free port and in a directory of its own. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** Ends it at once, or gently; its directory and its port stay. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Starts it again where it was. */
  start(): Promise<void>;
  /** Ends it and removes its directory. */
  close(): Promise<void>;
}

/** How a server is started. */
export interface NatsServerOptions {
  /** Lines of its configuration file. */
  readonly config?: string;
  /** The server's file. Default: the one that this run is for. */
  readonly program?: string;
  /** Default true. */
  readonly jetstream?: boolean;
}

export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const directory = mkdtempSync(join(tmpdir(), "micro-nats-"));
  const config = join(directory, "nats.conf");
  writeFileSync(config, options.config ?? "");
  let child: ChildProcess | undefined;
  let port = -1;
  const start = async () => {
    const args = ["-c", config, "-a", "127.0.0.1", "-p", String(port)];
    if (options.jetstream !== false) args.push("-js", "-sd", directory);
    const started = spawn(options.program ?? found?.path ?? "nats-server", args, {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = started;
    port = await listening(started);
  };
  const stop = async (signal: "SIGKILL" | "SIGTERM" = "SIGKILL") => {
    const stopping = child;
    child = undefined;
    if (stopping === undefined || stopping.exitCode !== null) return;
    const exited = once(stopping, "exit");
    stopping.kill(signal);
    await exited;
  };
  // A test that dies must not leave a server behind.
  const killAtExit = () => child?.kill("SIGKILL");
  process.once("exit", killAtExit);
  const close = async () => {
    await stop();
    process.off("exit", killAtExit);
    rmSync(directory, { recursive: true, force: true });
  };
  await start();
  return {
    get url() {
      return `nats://127.0.0.1:${port}`;
    },
    get port() {
      return port;
    },
    get pid() {
      return child?.pid ?? 0;
    },
    start,
    stop,
    signal(name) {
      child?.kill(name);
      if (name === "SIGSTOP" && child?.pid !== undefined) awaitStandstill(child.pid);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Returns when every thread of a process that was sent SIGSTOP has stopped: on another core one may
 * continue for a moment.
 */
function awaitStandstill(pid: number): void {
  const threads = `/proc/${pid}/task`;
  if (!existsSync(threads)) return;
  const isStopped = (thread: string) => {
    try {
      return readFileSync(join(threads, thread, "stat"), "utf8").includes(") T ");
    } catch {
      // It has ended meanwhile.
      return true;
    }
  };
  while (!readdirSync(threads).every(isStopped));
}

/** Resolves with the port when the server is ready. */
function listening(child: ChildProcess): Promise<number> {
  let log = "";
  return new Promise((resolve, reject) => {
    child.stderr?.on("data", (text: Buffer) => {
      if (log.length < 100_000) log += text;
      const port = /Listening for client connections on \S+:(\d+)/.exec(log)?.[1];
      if (port !== undefined && log.includes("Server is ready")) resolve(Number(port));
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`nats-server ended with ${code}: ${log}`)));
  });
}
