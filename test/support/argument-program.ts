import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { bundleOf } from "./bundle.ts";

/** A program in a process of its own. */
export interface Program {
  readonly pid: number;
  /** What it wrote on standard output, by line, without the first. */
  readonly lines: readonly string[];
  /** Resolves when it has ended, by itself or not. */
  readonly ended: Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

const running = new Set<ChildProcess>();
// What starts programs must not leave them behind when it dies.
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts the program with this URL and one argument as JSON; resolves when it has written its first
 * line.
 */
export async function startProgram(file: string, argument: object): Promise<Program> {
  const script = bundleOf(fileURLToPath(file));
  const child = spawn(process.execPath, [script, JSON.stringify(argument)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const exited = once(child, "close").finally(() => running.delete(child));
  let errors = "";
  child.stderr.on("data", (text) => {
    errors = `${errors}${text}`.slice(-10_000);
  });
  const lines: string[] = [];
  let rest = "";
  await new Promise<void>((resolve, reject) => {
    let begun = false;
    child.stdout.on("data", (text) => {
      const parts = `${rest}${text}`.split("\n");
      rest = parts.pop() ?? "";
      if (!begun && parts.length > 0) {
        begun = true;
        parts.shift();
        resolve();
      }
      lines.push(...parts);
    });
    exited.then(([code]) => reject(new Error(`${file} ended with ${code}: ${errors}`)), reject);
  });
  return {
    pid: child.pid ?? 0,
    lines,
    ended: exited.then(() => {}),
    async kill(signal = "SIGKILL") {
      child.kill(signal);
      await exited;
    },
    signal: (name) => void child.kill(name),
  };
}
