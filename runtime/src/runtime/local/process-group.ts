import { readdirSync, readFileSync } from "node:fs";

/** Sends a signal to every process of a group; false when there is none, or none that may be signalled. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return send(-group, signal);
}

/** Sends a signal to one process; false when it is gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  return send(pid, signal);
}

/** Whether a process of the group runs. One that has ended and waits for its parent to notice does not. */
export function groupRuns(group: number): boolean {
  if (!send(-group, 0)) return false;
  return process.platform !== "linux" || hasRunningMember(group);
}

function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    // EPERM is told where every process of a group has ended (macOS), or took another user's id.
    if (code === "ESRCH" || code === "EPERM") return false;
    throw reason;
  }
}

/** By /proc, because kill(2) also finds processes that have ended where nobody collects them, as in containers. */
function hasRunningMember(group: number): boolean {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readProc(name, "stat")?.toString("latin1");
    if (stat === undefined) continue;
    // The second field, the program's name, is in parentheses and may hold any character.
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (Number(processGroup) === group && state !== "Z" && state !== "X") return true;
  }
  return false;
}

/** A file of a process in /proc; undefined when the process has gone or is another user's. */
export function readProc(pid: string, file: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch {
    return undefined;
  }
}
