import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A nats-server with JetStream on a free port of this machine, for one run of the example. */
export interface OwnServer extends AsyncDisposable {
  readonly url: string;
}

/** Starts a server; undefined if none is installed. `NATS_SERVER` is the path of the program. */
export async function startServer(): Promise<OwnServer | undefined> {
  const directory = mkdtempSync(join(tmpdir(), "micro-fleet-"));
  const program = process.env.NATS_SERVER ?? "nats-server";
  const args = ["-js", "-sd", directory, "-a", "127.0.0.1", "-p", "-1"];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const close = async () => {
    if (child.exitCode === null && child.pid !== undefined) {
      const exited = once(child, "exit");
      child.kill();
      await exited;
    }
    rmSync(directory, { recursive: true, force: true });
  };
  const port = await listening(child);
  if (port === undefined) {
    await close();
    return undefined;
  }
  return { url: `nats://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

/** The port, once the server is ready; undefined if the program does not exist. */
function listening(child: ChildProcess): Promise<number | undefined> {
  let log = "";
  return new Promise((resolve, reject) => {
    child.stderr?.on("data", (text) => {
      log = `${log}${text}`.slice(-100_000);
      const port = /Listening for client connections on \S+:(\d+)/.exec(log)?.[1];
      if (port !== undefined && log.includes("Server is ready")) resolve(Number(port));
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve(undefined);
      else reject(error);
    });
    child.once("exit", (code) => reject(new Error(`nats-server ended with code ${code}: ${log}`)));
  });
}
