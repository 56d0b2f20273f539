import type { Backend } from "../base/backend-state.ts";

/**
 * When a service that ended by itself is restarted. `on-failure`: unless it ended with status 0.
 */
export type RestartPolicy = "always" | "on-failure" | "never";

/** The description of a service to run. */
export interface RunSpec {
  /** Unique in a runtime; up to 128 characters, without control characters. */
  readonly name: string;
  /** The program and its arguments, passed literally: no shell interprets them. */
  readonly command: readonly [program: string, ...args: string[]];
  /** The working directory; default: the runtime's own. */
  readonly folder?: string;
  /** Variables that override those of the runtime's own process; undefined removes one. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default `on-failure`. */
  readonly restart?: RestartPolicy;
  /** Time between the request to stop and the kill, in milliseconds. Default 10,000. */
  readonly graceMs?: number;
  /**
   * The service is `running` once a line of its output contains this text, and `starting` until
   * then. Without it, the service is `running` as soon as there is a process.
   */
  readonly readyText?: string;
}

/** The changes that {@link Runtime.update} accepts; absent properties stay as they are. */
export type RunChanges = Partial<Omit<RunSpec, "name">>;

/**
 * The state of a service.
 *
 * - `starting`: it was started, and is not yet ready.
 * - `running`
 * - `stopping`: it was asked to stop, for an update or permanently.
 * - `backing-off`: it failed, and is restarted after a wait that doubles with each failure.
 * - `crash-loop`: as `backing-off`, after many failures without a good run between them.
 * - `stopped`: nothing runs, and nothing will until an update.
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
  /** Null if a signal ended it, or if it could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Why it could not be started. */
  readonly error?: string;
  readonly at: Date;
  /** How long it ran, in milliseconds. */
  readonly ranMs: number;
}

/** The status of a service at one moment. */
export interface RunStatus {
  readonly name: string;
  readonly state: RunState;
  /** The reason for this state, in words. */
  readonly reason: string;
  /** The process that is asked to stop first; absent if there is none. */
  readonly pid?: number;
  /** When the current process was started. */
  readonly startedAt?: Date;
  /** How often it was restarted, for whatever reason. */
  readonly restarts: number;
  /** Exits that were not requested, without a good run between them. */
  readonly failures: number;
  /** How the last run ended; absent before the first end. */
  readonly lastExit?: RunExit;
  /** When it will be restarted, if a restart is pending. */
  readonly nextStartAt?: Date;
  readonly spec: RunSpec;
}

/** A line of a service's output, or a note that older ones were dropped. */
export type RunLog =
  | {
      readonly type: "line";
      readonly time: Date;
      readonly stream: "stdout" | "stderr";
      readonly text: string;
      /** Whether the line was longer than the runtime keeps; only its beginning is present then. */
      readonly cut: boolean;
    }
  | {
      readonly type: "lost";
      /**
       * The number of lines that were here, and were dropped for newer ones before they were read.
       */
      readonly lines: number;
    };

export interface RunLogsOptions {
  /** Start with this many of the last lines. Default: all that are kept. */
  readonly tail?: number;
  /** Continue with new lines as they arrive, until the service is deleted. Default false. */
  readonly follow?: boolean;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
}

export interface RunUpdateOptions {
  /** The reason for the request, for {@link RunStatus.reason}. */
  readonly reason?: string;
}

export interface RunDeleteOptions {
  /** Overrides the service's own grace period, in milliseconds; 0 kills immediately. */
  readonly graceMs?: number;
}

/** What an implementation guarantees. */
export interface RuntimeGuarantees {
  /** Where services run. */
  readonly reach: "host" | "backend";
  /**
   * `runtime`: services end with the runtime's process, however it ends. `backend`: they outlive
   * it.
   */
  readonly lifetime: "runtime" | "backend";
  /** Where output is kept. */
  readonly logs: "memory" | "backend";
}

/** Runs services, keeps them running, and keeps their output. */
export interface Runtime extends Backend {
  readonly guarantees: RuntimeGuarantees;
  /**
   * Starts a service; resolves when its process exists, or could not be started and is backing off.
   * @throws MicroError `already_exists`; `invalid_argument` when the spec cannot be run;
   * `failed_precondition` after `close()`.
   */
  create(spec: RunSpec): Promise<RunStatus>;
  /** @throws MicroError `not_found` */
  read(name: string): Promise<RunStatus>;
  /** All services, in the order they were created. */
  list(): Promise<readonly RunStatus[]>;
  /**
   * Stops the running process and starts it with the changes, immediately and with a reset failure
   * count; without changes it is a restart. Resolves as {@link create} does. Concurrent updates
   * result in one restart.
   * @throws MicroError `not_found`; `invalid_argument`; `aborted` when the service is deleted
   * meanwhile.
   */
  update(name: string, changes?: RunChanges, options?: RunUpdateOptions): Promise<RunStatus>;
  /**
   * Stops and removes a service; resolves when none of its processes is left. A second call may
   * shorten the grace period of the first. @throws MicroError `not_found`
   */
  delete(name: string, options?: RunDeleteOptions): Promise<void>;
  /**
   * The output of a service. A reader that is too slow loses the oldest lines, and receives an
   * entry that says so. @throws MicroError `not_found`
   */
  logs(name: string, options?: RunLogsOptions): AsyncIterable<RunLog>;
  /**
   * Calls the listener at each change of a service's state, until the returned function is called.
   */
  onChange(listener: (status: RunStatus) => void): () => void;
  /** Deletes all services. A second call may shorten the grace period of the first. */
  close(graceMs?: number): Promise<void>;
}
