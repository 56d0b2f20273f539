import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { bundleOf } from "./bundle.ts";

/** A program of a test in a process of its own, which talks to the test over a channel. */
export interface Program extends AsyncDisposable {
  /** Resolves with the exit code, or the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
  /** What it wrote to standard error so far. */
  readonly stderr: string;
  /** The next message that has this member. Rejects when the program ends first. */
  told(member: string): Promise<unknown>;
  send(message: string): void;
  kill(signal: NodeJS.Signals): void;
}

/** A fleet of its own on this machine: no other test, and nothing outside, is seen by it. */
export function ownFleet(): Record<string, string> {
  return {
    MICRO_ADDRESS: "127.0.0.1:0",
    MICRO_MDNS_INTERFACE: "127.0.0.1",
    MICRO_MDNS_PORT: String(20_000 + (process.pid % 20_000)),
    MICRO_LOG_LEVEL: "warn",
    MICRO_LOG_FORMAT: "text",
  };
}

/**
 * Starts a TypeScript program that uses the runtime's sources.
 *
 * @param words its arguments
 * @param flags of Node's
 */
export function startProgram(
  file: URL,
  environment: Record<string, string> = {},
  words: readonly string[] = [],
  flags: readonly string[] = [],
): Program {
  const child: ChildProcess = fork(bundleOf(fileURLToPath(file)), words, {
    env: { ...process.env, ...environment },
    execArgv: [...flags],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  return {
    ended,
    get stderr() {
      return stderr;
    },
    told(member) {
      return new Promise((resolve, reject) => {
        const onMessage = (message: unknown) => {
          if (typeof message !== "object" || message === null || !(member in message)) return;
          child.off("message", onMessage);
          resolve((message as Record<string, unknown>)[member]);
        };
        child.on("message", onMessage);
        void ended.then((end) =>
          reject(new Error(`ended with ${end} before it told "${member}":\n${stderr}`)),
        );
      });
    },
    send: (message) => void child.send(message),
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  };
}
