import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { readProc } from "./process-group.ts";

/**
 * The variable that every process of a service inherits, and by which one is found that left its process group, as
 * daemons do. Marks are added up, so that a service that runs services itself is found with all of them.
 */
export const markVariable = "_MICRO_ES_RUN";

/**
 * The processes whose environment has this mark. One that cleared its environment is not found: that is how a process
 * says that it is to outlive its service. On macOS, neither are programs that the system itself protects.
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
