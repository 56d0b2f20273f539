import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { freePort } from "../support/free-ports.ts";

/** Why nats-server cannot be started here; undefined if it can. */
export async function noNatsServer(): Promise<string | undefined> {
  try {
    execFileSync("nats-server", ["--version"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "nats-server is not installed (Debian: apt-get install nats-server)";
  }
}

/**
 * Starts a separate nats-server, which ends with this process; resolves when it is reachable.
 * @param more arguments
 */
export async function startNatsServer(
  ...more: readonly string[]
): Promise<{ port: number; stop(): void }> {
  const port = await freePort();
  const given = ["-a", "127.0.0.1", "-p", String(port), ...more];
  const server: ChildProcess = spawn("nats-server", given, { stdio: "ignore" });
  process.on("exit", () => server.kill());
  while (!(await reachable(port))) await new Promise((resolve) => setTimeout(resolve, 20));
  return { port, stop: () => server.kill() };
}

async function reachable(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
