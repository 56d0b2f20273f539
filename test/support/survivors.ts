import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/**
 * The variable by which a test finds every process that came of what it started, however that left
 * its parents.
 */
export const survivorVariable = "TEST_FAMILY";

/** A process that is there. */
export interface Survivor {
  readonly pid: number;
  readonly command: string;
}

/**
 * Every process that has this value of {@link survivorVariable}; one that has ended and was not
 * collected does not count.
 */
export function survivors(family: string): readonly Survivor[] {
  const wanted = `${survivorVariable}=${family}`;
  if (process.platform !== "linux") return byPs(wanted);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => procFile(pid, "environ").split("\0").includes(wanted))
    .map((pid) => ({
      pid: Number(pid),
      command: procFile(pid, "cmdline").replaceAll("\0", " ").trim(),
    }));
}

function procFile(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

function byPs(wanted: string): readonly Survivor[] {
  const table = execFileSync("ps", ["axeww", "-o", "pid=,command="], { encoding: "utf8" });
  return table
    .split("\n")
    .filter((line) => line.includes(wanted))
    .map((line) => ({ pid: Number.parseInt(line, 10), command: line.trim().slice(0, 200) }));
}
