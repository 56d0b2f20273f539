import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunExit, RunSpec } from "../runtime.ts";
import { LineCutter, type TakeLine } from "./line-cutter.ts";
import { markedProcesses, markVariable } from "./marked-processes.ts";
import type { Guard } from "./orphan-reaper.ts";
import { rootsOf, runningMembers, signalGroup, signalProcess } from "./process-group.ts";

/** How long killed processes may take to disappear, and output to be read, in milliseconds. */
const partingMs = 2_000;
/** Steps in which output is waited for; see {@link untilClosed}. */
const partingSteps = 10;
const longestPollMs = 50;

export interface ServiceProcessOptions {
  readonly spec: RunSpec;
  readonly graceMs: number;
  /** Distinguishes the processes of this service from all others. */
  readonly mark: string;
  readonly guard: Guard;
  readonly maxLineBytes: number;
  readonly takeLine: Readonly<Record<"stdout" | "stderr", TakeLine>>;
}

/**
 * One run of a service: a process that leads a process group of its own, and everything that it
 * starts.
 *
 * To stop it, only its leader receives SIGTERM, as with Docker: npm, tsx and others forward a
 * signal to their children, which would otherwise get it twice and treat the second as a request to
 * stop immediately. Once the leader is gone, the next processes in line are asked in the same way,
 * and everything left at the end of the grace period gets SIGKILL.
 */
export class ServiceProcess {
  readonly pid: number | undefined;
  /** Resolves, as soon as it is known, with whether there is a process. */
  readonly spawned: Promise<boolean>;
  /** Resolves when no process of the run is left; never rejects. */
  readonly ended: Promise<RunExit>;
  readonly #options: ServiceProcessOptions;
  readonly #began = performance.now();
  #killAt = Number.POSITIVE_INFINITY;
  #kill: NodeJS.Timeout | undefined;
  #exited = false;

  constructor(options: ServiceProcessOptions) {
    this.#options = options;
    let child: ChildProcess;
    try {
      child = start(options);
    } catch (reason) {
      this.spawned = Promise.resolve(false);
      this.ended = Promise.resolve(this.#couldNotStart(reason as NodeJS.ErrnoException));
      return;
    }
    this.pid = child.pid;
    if (child.pid !== undefined) options.guard.add(child.pid);
    this.spawned = new Promise((resolve) => {
      child.once("spawn", () => resolve(true));
      child.once("error", () => resolve(false));
    });
    this.ended = this.#run(child);
  }

  /**
   * Asks the process to end, and kills what is left after the grace period. A later call can only
   * shorten it.
   */
  stop(graceMs: number = this.#options.graceMs): void {
    const killAt = performance.now() + graceMs;
    if (killAt >= this.#killAt || this.pid === undefined) return;
    const first = this.#killAt === Number.POSITIVE_INFINITY;
    this.#killAt = killAt;
    if (this.#exited) return;
    if (first && graceMs > 0) signalProcess(this.pid, "SIGTERM");
    clearTimeout(this.#kill);
    this.#kill = setTimeout(() => signalGroup(this.pid!, "SIGKILL"), graceMs);
  }

  async #run(child: ChildProcess): Promise<RunExit> {
    const closed = this.#readOutput(child);
    const exit = await new Promise<RunExit>((resolve) => {
      child.once("error", (reason) => {
        if (child.pid === undefined) resolve(this.#couldNotStart(reason));
      });
      child.once("exit", (code, signal) => resolve(this.#exit({ code, signal })));
    });
    this.#exited = true;
    clearTimeout(this.#kill);
    if (child.pid === undefined) return exit;
    await this.#endRest(child.pid);
    await untilClosed(closed);
    child.stdout?.destroy();
    child.stderr?.destroy();
    this.#options.guard.remove(child.pid);
    return exit;
  }

  /** Ends the processes that the leader of the group left behind. */
  async #endRest(group: number): Promise<void> {
    this.#killAt = Math.min(this.#killAt, performance.now() + this.#options.graceMs);
    const told = new Set<number>();
    const left = await untilNone(
      async () => {
        const members = await runningMembers(group);
        for (const pid of rootsOf(members)) {
          if (!told.has(pid)) signalProcess(pid, "SIGTERM");
          told.add(pid);
        }
        return members;
      },
      () => this.#killAt,
    );
    const parting = performance.now() + partingMs;
    if (left) {
      signalGroup(group, "SIGKILL");
      await untilNone(
        () => runningMembers(group),
        () => parting,
      );
    }
    await untilNone(
      async () => {
        const marked = await markedProcesses(this.#options.mark);
        for (const pid of marked) signalProcess(pid, "SIGKILL");
        return marked;
      },
      () => parting,
    );
  }

  /** Resolves when all output has been read. */
  #readOutput(child: ChildProcess): Promise<void> {
    const { maxLineBytes, takeLine } = this.#options;
    const streams = ["stdout", "stderr"] as const;
    const ends = streams.map((name) => {
      const stream = child[name];
      if (stream == null) return undefined;
      const cutter = new LineCutter(maxLineBytes, takeLine[name]);
      stream.on("data", (chunk: Buffer) => cutter.push(chunk));
      return new Promise<void>((resolve) => {
        // A broken pipe ends the output; the process itself reports how it ended.
        stream.on("error", () => {});
        stream.once("close", () => {
          cutter.end();
          resolve();
        });
      });
    });
    return Promise.all(ends).then(() => {});
  }

  #exit(how: Pick<RunExit, "code" | "signal" | "error">): RunExit {
    return { ...how, at: new Date(), ranMs: performance.now() - this.#began };
  }

  #couldNotStart(reason: NodeJS.ErrnoException): RunExit {
    return this.#exit({ code: null, signal: null, error: whyNot(this.#options.spec, reason) });
  }
}

/** Polls until it finds nothing or the time is up; returns whether something is left. */
async function untilNone(
  look: () => Promise<readonly unknown[]>,
  until: () => number,
): Promise<boolean> {
  for (let waitMs = 1; (await look()).length > 0; waitMs *= 2) {
    if (performance.now() >= until()) return true;
    await sleep(Math.min(waitMs, longestPollMs));
  }
  return false;
}

/**
 * Waits until all output has been read; not forever, because a process that left the group and
 * cleared its mark may hold the pipes open. Output is read between two steps, so none is lost when
 * this process itself did not run for longer than the whole wait.
 */
async function untilClosed(closed: Promise<void>): Promise<void> {
  let isClosed = false;
  void closed.then(() => {
    isClosed = true;
  });
  for (let step = 0; step < partingSteps && !isClosed; step++) {
    const parting = new AbortController();
    const { signal } = parting;
    await Promise.race([closed, sleep(partingMs / partingSteps, undefined, { signal })]);
    parting.abort();
  }
}

function start({ spec, mark }: ServiceProcessOptions): ChildProcess {
  const [program, ...args] = spec.command;
  const environment = { ...process.env, ...spec.environment };
  const marks = [process.env[markVariable], mark].filter((it) => it !== undefined).join(" ");
  return spawn(program, args, {
    // Gives it a session, and so a process group, of its own.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...environment, [markVariable]: marks },
    ...(spec.folder === undefined ? {} : { cwd: spec.folder }),
  });
}

/** Node reports a missing folder and a missing program with the same message. */
function whyNot({ command: [program], folder }: RunSpec, reason: NodeJS.ErrnoException): string {
  if (folder !== undefined && !isFolder(folder)) return `there is no folder ${folder}`;
  if (reason.code === "ENOENT") return `there is no program ${program}`;
  if (reason.code === "EACCES") return `${program} may not be executed`;
  return `${program} cannot be started: ${reason.message}`;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
