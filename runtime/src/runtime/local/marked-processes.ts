import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { readProc } from "./process-group.ts";

/**
 * An environment variable that every process of a service inherits. It identifies processes that
 * left their process group, such as daemons. Marks accumulate, so a service that itself runs
 * services is found with all of them.
 */
export const markVariable = "_MICRO_ES_RUN";

/**
 * The processes whose environment contains this mark. A process that cleared its environment is not
 * found: clearing it is how a process declares that it should outlive its service. On macOS,
 * programs that the system protects are not found either.
 */
export async function markedProcesses(mark: string): Promise<readonly number[]> {
  return process.platform === "linux" ? markedByProc(mark) : markedByPs(mark);
}

function markedByProc(mark: string): readonly number[] {
  const bytes = Buffer.from(mark);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && readProc(name, "environ")?.includes(bytes) === true)
    .map(Number);
}

async function markedByPs(mark: string): Promise<readonly number[]> {
  const { stdout } = await promisify(execFile)("ps", ["axeww", "-o", "pid=,command="], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout
    .split("\n")
    .filter((line) => line.includes(mark))
    .map((line) => Number.parseInt(line, 10));
}
