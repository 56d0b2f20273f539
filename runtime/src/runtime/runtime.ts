import type { Backend } from "../backend.ts";

/** When a service that ended by itself is started again. `on-failure`: unless it ended with status 0. */
export type RestartPolicy = "always" | "on-failure" | "never";

/** What is to run. */
export interface RunSpec {
  /** Unique in a runtime; up to 128 characters, none of them a control character. */
  readonly name: string;
  /** The program and its arguments, as they are: no shell reads them. */
  readonly command: readonly [program: string, ...args: string[]];
  /** Where it runs; default where the runtime does. */
  readonly folder?: string;
  /** Variables over those of the runtime's own process; undefined takes one away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default `on-failure`. */
  readonly restart?: RestartPolicy;
  /** Time between being told to stop and being killed, in milliseconds. Default 10,000. */
  readonly graceMs?: number;
  /**
   * It is `running` when a line of its output contains this, and `starting` until then. Without it, it is `running` as
   * soon as there is a process.
   */
  readonly readyText?: string;
}

/** What {@link Runtime.update} may change; what is absent stays. */
export type RunChanges = Partial<Omit<RunSpec, "name">>;

/**
 * How a service is.
 *
 * - `starting`: it is started, and not yet ready.
 * - `running`
 * - `stopping`: it is told to stop, for an update or for good.
 * - `backing-off`: it failed, and is started again after a wait that doubles from failure to failure.
 * - `crash-loop`: as `backing-off`, after many failures with no good time between them.
 * - `stopped`: nothing runs, and nothing will before an update.
 */
export type RunState =
  | "starting"
  | "running"
  | "stopping"
  | "backing-off"
  | "crash-loop"
  | "stopped";

/** How a run of a service ended. */
export interface RunExit {
  /** Null when a signal ended it, or when it could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started at all. */
  readonly error?: string;
  readonly at: Date;
  /** How long it ran, in milliseconds. */
  readonly ranMs: number;
}

/** A service at one moment. */
export interface RunStatus {
  readonly name: string;
  readonly state: RunState;
  /** Why it is in this state, in words. */
  readonly reason: string;
  /** The process that is asked to stop first; absent when there is none. */
  readonly pid?: number;
  /** When the current process was started. */
  readonly startedAt?: Date;
  /** How often it was started again, for whatever reason. */
  readonly restarts: number;
  /** Ends that it was not asked for, with no good time between them. */
  readonly failures: number;
  /** How the last run ended; absent before the first end. */
  readonly lastExit?: RunExit;
  /** When it is started again, where that is waited for. */
  readonly nextStartAt?: Date;
  readonly spec: RunSpec;
}

/** A line of a service's output, or that older ones are gone. */
export type RunLog =
  | {
      readonly type: "line";
      readonly time: Date;
      readonly stream: "stdout" | "stderr";
      readonly text: string;
      /** The line was longer than the runtime keeps; this is its beginning. */
      readonly cut: boolean;
    }
  | {
      readonly type: "lost";
      /** So many lines stood here, and were dropped for newer ones before they were read. */
      readonly lines: number;
    };

export interface RunLogsOptions {
  /** Begin with the last so many lines that are kept. Default: all of them. */
  readonly tail?: number;
  /** Go on with lines as they come, until the service is deleted. Default false. */
  readonly follow?: boolean;
  /** Ends the reading, without an error. */
  readonly signal?: AbortSignal;
}

export interface RunUpdateOptions {
  /** Why, for {@link RunStatus.reason}. */
  readonly reason?: string;
}

export interface RunDeleteOptions {
  /** Instead of the service's own grace; 0 kills at once. */
  readonly graceMs?: number;
}

/** What an implementation promises. */
export interface RuntimeGuarantees {
  /** Where services run. */
  readonly reach: "host" | "backend";
  /** `runtime`: services end with the runtime's process, however that ends. `backend`: they outlive it. */
  readonly lifetime: "runtime" | "backend";
  /** Where output is kept. */
  readonly logs: "memory" | "backend";
}

/** Runs services, keeps them running, and keeps what they write. */
export interface Runtime extends Backend {
  readonly guarantees: RuntimeGuarantees;
  /**
   * Starts a service; resolves when its process is there, or could not be started and is backing off.
   * @throws MicroError `already_exists`; `invalid_argument` for what cannot be run; `failed_precondition` after `close()`.
   */
  create(spec: RunSpec): Promise<RunStatus>;
  /** @throws MicroError `not_found` */
  read(name: string): Promise<RunStatus>;
  /** All services, in the order they were created. */
  list(): Promise<readonly RunStatus[]>;
  /**
   * Stops what runs and starts it with the changes, at once and with a clean record; without changes it is a restart.
   * Resolves as {@link create} does. Updates that meet are one restart.
   * @throws MicroError `not_found`; `invalid_argument`; `aborted` when the service is deleted meanwhile.
   */
  update(name: string, changes?: RunChanges, options?: RunUpdateOptions): Promise<RunStatus>;
  /**
   * Stops a service and forgets it; resolves when none of its processes is left. A second call may shorten the grace of
   * the first. @throws MicroError `not_found`
   */
  delete(name: string, options?: RunDeleteOptions): Promise<void>;
  /** What a service wrote. A reader that is too slow loses the oldest lines, and is told so. @throws MicroError `not_found` */
  logs(name: string, options?: RunLogsOptions): AsyncIterable<RunLog>;
  /** Calls the listener with each change of a service's state, until the returned function is called. */
  onChange(listener: (status: RunStatus) => void): () => void;
  /** Deletes all services. A second call may shorten the grace of the first. */
  close(graceMs?: number): Promise<void>;
}
