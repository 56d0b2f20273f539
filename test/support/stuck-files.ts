import { execFileSync } from "node:child_process";
import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends the workers of a run when a file takes too long. A test that computes for ever keeps its
 * own timeout from firing, and with it the run from ending. Vitest then reports the files of those
 * workers as failed and continues with the others.
 */
export default class StuckFiles implements Reporter {
  readonly #patienceMs: number;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  /** @param options `patienceMs`: how long the tests of one file may take; 15 minutes by default */
  constructor({ patienceMs = 15 * 60_000 }: { readonly patienceMs?: number } = {}) {
    this.#patienceMs = patienceMs;
  }

  onTestModuleQueued({ moduleId }: TestModule): void {
    const timer = setTimeout(() => {
      const file = relative(process.cwd(), moduleId);
      console.error(`${file} did not end within ${this.#patienceMs} ms; its worker is killed`);
      killWorkers();
    }, this.#patienceMs);
    this.#timers.set(moduleId, timer.unref());
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    clearTimeout(this.#timers.get(moduleId));
    this.#timers.delete(moduleId);
  }
}

/** Kills the workers, children of this process; a busy one handles no other signal. */
function killWorkers(): void {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
  for (const line of lines.split("\n")) {
    const [, pid, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)/.exec(line) ?? [];
    if (Number(parent) !== process.pid || !command?.includes("vitest")) continue;
    process.kill(Number(pid), "SIGKILL");
  }
}
