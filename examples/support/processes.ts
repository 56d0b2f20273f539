import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A program of an example in a process of its own, which talks over the channel to whoever started it. */
export interface Program extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Asks the program something, and resolves with the member of that name in its answer. */
  ask(question: string, member: string): Promise<unknown>;
  /** The next message that has this member, and that nobody was told yet. Rejects when the program ends first. */
  told(member: string): Promise<unknown>;
  /** Ends the program as an operator would (SIGTERM), and resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Ends the program as an accident would (SIGKILL). */
  kill(): Promise<void>;
  /** Resolves with the exit code when the program has ended by itself. */
  readonly ended: Promise<number | null>;
}

/** The network of one run of an example: this machine alone, apart from every other fleet on it. */
export function ownNetwork(): NodeJS.ProcessEnv {
  return {
    MICRO_ADDRESS: "127.0.0.1:0",
    MICRO_MDNS_INTERFACE: "127.0.0.1",
    MICRO_MDNS_PORT: String(20_000 + (process.pid % 20_000)),
    MICRO_LOG_LEVEL: process.env.MICRO_LOG_LEVEL ?? "warn",
  };
}

/** Starts a program; its output goes where ours does. */
export function start(name: string, file: string, env: NodeJS.ProcessEnv): Program {
  const child: ChildProcess = fork(file, { env: { ...process.env, ...env } });
  const early: Record<string, unknown>[] = [];
  const listeners = new Set<(message: Record<string, unknown>) => boolean>();
  child.on("message", (message) => {
    if (typeof message !== "object" || message === null) return;
    const said = message as Record<string, unknown>;
    for (const listener of listeners) if (listener(said)) return;
    // Nobody has asked for it yet.
    early.push(said);
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => resolve(code));
  });
  const program: Program = {
    name,
    pid: child.pid ?? 0,
    ended,
    ask(question, member) {
      const answer = program.told(member);
      child.send(question);
      return answer;
    },
    told(member) {
      return new Promise((resolve, reject) => {
        const listener = (message: Record<string, unknown>) => {
          if (!(member in message)) return false;
          listeners.delete(listener);
          resolve(message[member]);
          return true;
        };
        const said = early.findIndex((message) => member in message);
        if (said < 0) listeners.add(listener);
        else resolve(early.splice(said, 1)[0]?.[member]);
        void ended.then((code) =>
          reject(new Error(`${name} ended with code ${code}, before "${member}"`)),
        );
      });
    },
    async stop() {
      child.kill("SIGTERM");
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

/** Asks again until the answer is as wished; fails with the last answer after `withinMs`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  wished: (answer: T) => boolean,
  withinMs = 10_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (wished(answer)) return answer;
    if (performance.now() > end)
      throw new Error(`${what}: still ${String(answer)} after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
