import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How the program of a server is started. */
export interface ServerCommand {
  readonly path: string;
  readonly flags: readonly string[];
  /** Variables beyond those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Resolves when the server can be used. It gives up once the process has ended. */
  readonly ready: (child: ChildProcess) => Promise<void>;
}

// A test that dies must not leave a server behind.
const killAtExit = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of killAtExit) child.kill("SIGKILL");
});

/** The process of a server of a test's own, which is stopped and started where it was. */
export class ServerProcess implements AsyncDisposable {
  /** Of its own, until it is closed. */
  readonly directory: string;
  readonly #name: string;
  readonly #command: (directory: string) => ServerCommand;
  #child: ChildProcess | undefined;

  /**
   * @param name that of the program, such as `etcd`.
   * @param folder where its directory is. Default: that of the system's temporary files.
   */
  constructor(
    name: string,
    command: (directory: string) => ServerCommand,
    folder: string = tmpdir(),
  ) {
    this.#name = name;
    this.#command = command;
    this.directory = mkdtempSync(join(folder, `micro-${name}-`));
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /**
   * Starts it; resolves when it is ready.
   * @throws Error with its last output if it ends instead.
   */
  async start(): Promise<void> {
    const { path, flags, environment, ready } = this.#command(this.directory);
    const started = spawn(path, flags, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#child = started;
    killAtExit.add(started);
    started.once("exit", () => killAtExit.delete(started));
    let log = "";
    for (const stream of [started.stdout, started.stderr]) {
      stream.on("data", (text: Buffer) => {
        log = `${log}${text}`.slice(-10_000);
      });
    }
    const exited = once(started, "exit").then(([code]) => {
      throw new Error(`${this.#name} ended with ${code}: ${log}`);
    });
    exited.catch(() => {});
    await Promise.race([ready(started), exited]);
  }

  /** Ends it at once, or gently; its directory stays. */
  async stop(signal: "SIGKILL" | "SIGTERM" | "SIGINT" = "SIGKILL"): Promise<void> {
    const stopping = this.#child;
    this.#child = undefined;
    if (stopping === undefined || stopping.exitCode !== null) return;
    const exited = once(stopping, "exit");
    stopping.kill(signal);
    await exited;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Ends it and removes its directory. */
  async close(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Starts servers that need each other; the first failure closes all of them. */
export async function startAll<S extends Pick<ServerProcess, "start" | "close">>(
  servers: readonly S[],
): Promise<readonly S[]> {
  try {
    await Promise.all(servers.map((server) => server.start()));
  } catch (error) {
    for (const server of servers) await server.close();
    throw error;
  }
  return servers;
}

/** A folder in memory where the system has one, for servers that wait for their disk often. */
export function memoryFolder(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    return tmpdir();
  }
}
