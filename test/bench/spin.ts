import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Ends by itself when its parent is gone, even if that was before it began. */
const untilOrphaned = `for (let i = 0; ; i++) if (i % 1e7 === 0 && process.ppid !== ${process.pid}) process.exit();`;

/**
 * Keeps every processor awake with loops that run only when the processor is otherwise idle
 * (SCHED_IDLE). On a virtual machine, waking an idle processor costs more than a whole call, and
 * would dominate the measurement with one call in flight.
 */
export function keepAwake(): () => void {
  const loops: ChildProcess[] = [];
  for (let index = 0; index < availableParallelism(); index++) {
    const loop = spawn("chrt", ["-i", "0", process.execPath, "-e", untilOrphaned], {
      stdio: "ignore",
      // In a session of its own: the kernel's autogroups would count its time as ours.
      detached: true,
    });
    // Without chrt the measurement continues, with a note that processors may have slept.
    loop.once("error", () => {});
    loops.push(loop);
    if (loop.pid !== undefined) setGroupPriority(loop.pid, 19);
  }
  return () => {
    for (const loop of loops) loop.kill("SIGKILL");
  };
}

/**
 * Asks the kernel to prefer this process and its children over everything else on the machine, if
 * that is allowed: a plain `nice` counts only within the processes of one session.
 */
export function preferUs(): void {
  setGroupPriority(process.pid, -15);
}

function setGroupPriority(pid: number, nice: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(nice));
  } catch {
    // Not Linux, no autogroups, or not allowed: measured without preference.
  }
}
