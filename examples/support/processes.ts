import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A program of an example in its own process, connected to its parent by an IPC channel. */
export interface Program extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Sends a question, and resolves with a member of the program's response. */
  ask(question: string, member: string): Promise<unknown>;
  /**
   * The member of the next message that has it and was not returned yet. Rejects if the program
   * ends first.
   */
  told(member: string): Promise<unknown>;
  /** Stops the program like an operator (SIGTERM), and resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Kills the program (SIGKILL). */
  kill(): Promise<void>;
  /** Resolves with the exit code when the program has ended. */
  readonly ended: Promise<number | null>;
}

/** The network of one run of an example: this machine only, isolated from other fleets on it. */
export function ownNetwork(): NodeJS.ProcessEnv {
  return {
    MICRO_ADDRESS: "127.0.0.1:0",
    MICRO_MDNS_INTERFACE: "127.0.0.1",
    MICRO_MDNS_PORT: String(20_000 + (process.pid % 20_000)),
    MICRO_LOG_LEVEL: process.env.MICRO_LOG_LEVEL ?? "warn",
  };
}

/** Starts a program that inherits standard output and error. */
export function start(name: string, file: string, env: NodeJS.ProcessEnv): Program {
  const child: ChildProcess = fork(file, { env: { ...process.env, ...env } });
  const early: Record<string, unknown>[] = [];
  const listeners = new Set<(message: Record<string, unknown>) => boolean>();
  child.on("message", (message) => {
    if (typeof message !== "object" || message === null) return;
    const received = message as Record<string, unknown>;
    for (const listener of listeners) if (listener(received)) return;
    // `told` may be called later.
    early.push(received);
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => resolve(code));
  });
  const program: Program = {
    name,
    pid: child.pid ?? 0,
    ended,
    ask(question, member) {
      const response = program.told(member);
      child.send(question);
      return response;
    },
    told(member) {
      return new Promise((resolve, reject) => {
        const listener = (message: Record<string, unknown>) => {
          if (!(member in message)) return false;
          listeners.delete(listener);
          resolve(message[member]);
          return true;
        };
        const index = early.findIndex((message) => member in message);
        if (index < 0) listeners.add(listener);
        else resolve(early.splice(index, 1)[0]?.[member]);
        void ended.then((code) =>
          reject(new Error(`${name} ended with code ${code}, before "${member}"`)),
        );
      });
    },
    async stop() {
      // After `child.kill`, Deno reports that the signal ended the child, whatever its exit code.
      process.kill(program.pid, "SIGTERM");
      return ended;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  };
  return program;
}

/** Polls until the result is as wished; fails with the last result after `withinMs`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  wished: (result: T) => boolean,
  withinMs = 10_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const result = await ask();
    if (wished(result)) return result;
    if (performance.now() > end)
      throw new Error(`${what}: still ${String(result)} after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
