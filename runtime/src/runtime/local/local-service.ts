import { type Backoff, backoffMs } from "../../base/backoff.ts";
import { MicroError } from "../../base/error.ts";
import type { RunChanges, RunExit, RunSpec, RunState, RunStatus } from "../runtime.ts";
import type { TakeLine } from "./line-cutter.ts";
import type { Guard } from "./orphan-reaper.ts";
import type { OutputRing } from "./output-ring.ts";
import { ServiceProcess } from "./service-process.ts";

/** Default time between the request to stop and the kill, in milliseconds. */
export const defaultGraceMs = 10_000;

export interface LocalServiceOptions {
  readonly mark: string;
  readonly guard: Guard;
  readonly logs: OutputRing;
  readonly backoff: Backoff;
  /** This many failures without a good run between them are a crash loop. */
  readonly crashLoopFailures: number;
  /** A run of at least this length is good, in milliseconds. */
  readonly goodMs: number;
  changed(status: RunStatus): void;
}

/** The wait of a service between two runs. */
interface Waiting {
  wake(): void;
}

/** A caller waiting for the next start. */
interface Starting {
  resolve(status: RunStatus): void;
  reject(reason: MicroError): void;
}

/**
 * Keeps one service running: a loop of runs, the waits between them, and requests made meanwhile.
 */
export class LocalService {
  readonly logs: OutputRing;
  readonly #options: LocalServiceOptions;
  #spec: RunSpec;
  #state: RunState = "starting";
  #reason = "created";
  #process: ServiceProcess | undefined;
  #startedAt: Date | undefined;
  #runs = 0;
  #failures = 0;
  #lastExit: RunExit | undefined;
  #nextStartAt: Date | undefined;
  /** Why a restart was requested, if it was. */
  #restartReason: string | undefined;
  #deleted = false;
  #waiting: Waiting | undefined;
  #starting: Starting[] = [];
  #over: Promise<void> = Promise.resolve();

  constructor(spec: RunSpec, options: LocalServiceOptions) {
    this.#spec = spec;
    this.#options = options;
    this.logs = options.logs;
  }

  get status(): RunStatus {
    return {
      name: this.#spec.name,
      state: this.#state,
      reason: this.#reason,
      ...(this.#process?.pid === undefined ? {} : { pid: this.#process.pid }),
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      restarts: Math.max(0, this.#runs - 1),
      failures: this.#failures,
      ...(this.#lastExit === undefined ? {} : { lastExit: this.#lastExit }),
      ...(this.#nextStartAt === undefined ? {} : { nextStartAt: this.#nextStartAt }),
      spec: this.#spec,
    };
  }

  start(): Promise<RunStatus> {
    const started = this.#nextStart();
    this.#over = this.#run();
    return started;
  }

  async restart(changes: RunChanges, reason: string): Promise<RunStatus> {
    if (this.#deleted) throw this.#gone();
    this.#spec = { ...this.#spec, ...changes };
    this.#restartReason = reason;
    const started = this.#nextStart();
    this.#stop(undefined, reason);
    return started;
  }

  /** Resolves when no process of the service is left. */
  async delete(graceMs: number | undefined, reason: string): Promise<void> {
    this.#deleted = true;
    this.#stop(graceMs, reason);
    await this.#over;
  }

  /** Resolves with the status after the next start. */
  #nextStart(): Promise<RunStatus> {
    return new Promise((resolve, reject) => this.#starting.push({ resolve, reject }));
  }

  #stop(graceMs: number | undefined, reason: string): void {
    this.#waiting?.wake();
    if (this.#process === undefined) return;
    if (this.#state !== "stopping") this.#change("stopping", reason);
    this.#process.stop(graceMs);
  }

  async #run(): Promise<void> {
    while (!this.#deleted) {
      await this.#runOnce();
      if (!this.#isAsked()) await this.#pause(this.#lastExit!);
    }
    this.logs.close();
    for (const { reject } of this.#starting) reject(this.#gone());
    this.#change("stopped", "deleted");
  }

  #gone(): MicroError {
    return new MicroError(
      "aborted",
      `the service ${this.#spec.name} was deleted before it started`,
    );
  }

  /** Whether a deletion or restart was requested, so that there is nothing to wait for. */
  #isAsked(): boolean {
    return this.#deleted || this.#restartReason !== undefined;
  }

  async #runOnce(): Promise<void> {
    const reason = this.#restartReason ?? this.#reason;
    // A requested restart resets the failure count.
    if (this.#restartReason !== undefined) this.#failures = 0;
    this.#restartReason = undefined;
    // Later requests ask for another start than this one.
    const starting = this.#starting;
    this.#starting = [];
    this.#startedAt = new Date();
    this.#process = this.#spawn();
    this.#runs++;
    this.#change("starting", reason);
    if ((await this.#process.spawned) && this.#spec.readyText === undefined) this.#isReady();
    for (const { resolve } of starting) resolve(this.status);
    this.#lastExit = await this.#process.ended;
    this.#process = undefined;
    this.#startedAt = undefined;
  }

  #spawn(): ServiceProcess {
    const { graceMs = defaultGraceMs, readyText } = this.#spec;
    const { logs } = this.#options;
    const take =
      (stream: "stdout" | "stderr"): TakeLine =>
      (bytes, from, to, cut) => {
        logs.append(stream, bytes, from, to, cut);
        if (this.#state !== "starting" || readyText === undefined) return;
        if (bytes.subarray(from, to).includes(readyText)) this.#isReady();
      };
    return new ServiceProcess({
      spec: this.#spec,
      graceMs,
      mark: this.#options.mark,
      guard: this.#options.guard,
      maxLineBytes: logs.maxLineBytes,
      takeLine: { stdout: take("stdout"), stderr: take("stderr") },
    });
  }

  #isReady(): void {
    if (this.#state === "starting") this.#change("running", this.#reason);
  }

  /** Handles an exit that was not requested. */
  async #pause(exit: RunExit): Promise<void> {
    const { backoff, crashLoopFailures, goodMs } = this.#options;
    const { restart = "on-failure" } = this.#spec;
    if (restart === "never" || (restart === "on-failure" && exit.code === 0)) {
      this.#failures = 0;
      this.#change("stopped", describeExit(exit));
      return this.#wait(Number.POSITIVE_INFINITY);
    }
    this.#failures = exit.ranMs >= goodMs ? 1 : this.#failures + 1;
    const waitMs = backoffMs(backoff, this.#failures, Math.random);
    this.#nextStartAt = new Date(Date.now() + waitMs);
    const state = this.#failures >= crashLoopFailures ? "crash-loop" : "backing-off";
    this.#change(state, describeExit(exit));
    await this.#wait(waitMs);
    this.#nextStartAt = undefined;
  }

  async #wait(waitMs: number): Promise<void> {
    if (this.#isAsked()) return;
    await new Promise<void>((resolve) => {
      const timer = waitMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(resolve, waitMs);
      this.#waiting = {
        wake() {
          clearTimeout(timer);
          resolve();
        },
      };
    });
    this.#waiting = undefined;
  }

  #change(state: RunState, reason: string): void {
    this.#state = state;
    this.#reason = reason;
    this.#options.changed(this.status);
  }
}

/** Describes how a run ended. */
function describeExit({ code, signal, error }: RunExit): string {
  if (error !== undefined) return error;
  return code === null ? `ended by ${signal}` : `ended with status ${code}`;
}
