import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";

/**
 * Keeps every processor awake with loops that run only when nothing else wants to (SCHED_IDLE). On a virtual machine
 * the wake-up of an idle processor costs more than a whole call, and would be all that is measured at one in flight.
 */
export function keepAwake(): () => void {
  const loops: ChildProcess[] = [];
  for (let index = 0; index < availableParallelism(); index++) {
    const loop = spawn("chrt", ["-i", "0", process.execPath, "-e", "for (;;);"], {
      stdio: "ignore",
    });
    // Without chrt the measurement goes on, and says that processors may have slept.
    loop.once("error", () => {});
    loops.push(loop);
  }
  return () => {
    for (const loop of loops) loop.kill("SIGKILL");
  };
}
