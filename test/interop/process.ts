import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Command } from "./peers.ts";

/** Time for a server to listen and for a client to run its cases, in milliseconds. */
const startMs = 60_000;
const runMs = 180_000;

/** A running server. */
export interface Running {
  readonly address: string;
  readonly pid: number;
  /**
   * Ends it with SIGTERM or another signal, and with SIGKILL if it does not exit; resolves with the
   * status or signal.
   */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** Starts a server, and waits until a line of its output reports where it listens. */
export async function startServer(
  command: Command,
  addressOf: (line: string) => string | undefined,
): Promise<Running> {
  const child = start(command);
  const said: string[] = [];
  const address = await new Promise<string>((resolve, reject) => {
    const fail = (what: string) =>
      reject(new Error(`${command.argv.join(" ")} ${what}:\n${said.slice(-20).join("\n")}`));
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      fail("did not say where it listens");
    }, startMs);
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => {
        said.push(line);
        const found = addressOf(line);
        if (found === undefined) return;
        clearTimeout(timer);
        resolve(found);
      });
    }
    child.once("error", (error) => fail(`cannot be started: ${error.message}`));
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${code ?? signal}`);
    });
  });
  return {
    address,
    pid: child.pid!,
    async stop(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, "exit");
        child.kill(signal);
        const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
        await ended;
        clearTimeout(timer);
      }
      return child.exitCode ?? child.signalCode ?? 0;
    },
  };
}

/**
 * Runs a program to its end: its status and its output.
 *
 * @param limitMs when it is ended, in milliseconds
 */
export async function runProgram(
  command: Command,
  limitMs: number = runMs,
): Promise<{ status: number | string; stdout: string; stderr: string }> {
  const child = start(command);
  let [stdout, stderr] = ["", ""];
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  const [code, signal] = await once(child, "close");
  clearTimeout(timer);
  return { status: code ?? signal, stdout, stderr };
}

function start({ argv, env }: Command): ChildProcess {
  const [program = "", ...words] = argv;
  return spawn(program, words, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}
