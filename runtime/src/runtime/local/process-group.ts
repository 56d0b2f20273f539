import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";

/** A running process, and its parent: the one that started or adopted it. */
interface Member {
  readonly pid: number;
  readonly parent: number;
}

/**
 * Sends a signal to every process of a group; false if there is none, or none that may be
 * signalled.
 */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return send(-group, signal);
}

/** Sends a signal to one process; false if it is gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  return send(pid, signal);
}

/**
 * The running processes of a group. Excludes zombies, which have ended and wait for their parent to
 * reap them.
 */
export async function runningMembers(group: number): Promise<readonly Member[]> {
  // Usually there is none, and this check avoids scanning every process of the machine.
  if (!send(-group, 0)) return [];
  return process.platform === "linux" ? membersByProc(group) : membersByPs(group);
}

/** The members whose parent is outside the group; they pass signals on to the others. */
export function rootsOf(members: readonly Member[]): readonly number[] {
  const pids = new Set(members.map(({ pid }) => pid));
  return members.filter(({ parent }) => !pids.has(parent)).map(({ pid }) => pid);
}

function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch (reason) {
    const { code } = reason as NodeJS.ErrnoException;
    // EPERM is returned if every process of a group has ended (macOS), or runs under another user's
    // id.
    if (code === "ESRCH" || code === "EPERM") return false;
    throw reason;
  }
}

function membersByProc(group: number): readonly Member[] {
  return readdirSync("/proc").flatMap((name) => {
    const stat = /^\d+$/.test(name) ? readProc(name, "stat")?.toString("latin1") : undefined;
    // The second field, the program's name, is in parentheses and may contain any character.
    const [state, parent, own] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
    if (Number(own) !== group || state === "Z" || state === "X") return [];
    return [{ pid: Number(name), parent: Number(parent) }];
  });
}

async function membersByPs(group: number): Promise<readonly Member[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axo", "pid=,ppid=,pgid=,stat="]);
  return stdout.split("\n").flatMap((line) => {
    const [pid, parent, own, state = ""] = line.trim().split(/\s+/);
    if (Number(own) !== group || state.startsWith("Z")) return [];
    return [{ pid: Number(pid), parent: Number(parent) }];
  });
}

/** A file of a process in /proc; undefined if the process is gone or belongs to another user. */
export function readProc(pid: string, file: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch {
    return undefined;
  }
}
