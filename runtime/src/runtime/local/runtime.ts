import { randomUUID } from "node:crypto";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import type { Backoff } from "../../base/backoff.ts";
import { MicroError } from "../../base/error.ts";
import {
  checkOptions,
  count,
  countOrNone,
  durationMs,
  flag,
  optionsOf,
  required,
  signal,
  text,
} from "../../base/option-check.ts";
import { backoffKinds } from "../../base/option-kinds.ts";
import type {
  RunChanges,
  RunDeleteOptions,
  RunLog,
  RunLogsOptions,
  RunSpec,
  RunStatus,
  Runtime,
  RuntimeGuarantees,
  RunUpdateOptions,
} from "../runtime.ts";
import { checkSpec } from "./check-spec.ts";
import { LocalService } from "./local-service.ts";
import { Guard } from "./orphan-reaper.ts";
import { OutputRing } from "./output-ring.ts";

export type * from "../runtime.ts";

/** Options of {@link localRuntime}. */
export interface LocalRuntimeOptions {
  /** Bytes of output kept for each service. A line may take a quarter of it. Default 1 MiB. */
  readonly logBytes?: number;
  /** Waits before a failed service is restarted. Default: 250 ms, doubling up to 30 s, ± 20 %. */
  readonly backoff?: Backoff;
  /** This many failures without a good run between them are a crash loop. Default 5. */
  readonly crashLoopFailures?: number;
  /** A run of at least this length is good, in milliseconds. Default 10,000. */
  readonly goodMs?: number;
  /**
   * How long services may take to end after this process has died, in milliseconds. Default 2,000.
   */
  readonly orphanGraceMs?: number;
}

/**
 * Runs services as processes of this machine, on Linux and macOS. Each leads a process group of its
 * own; when it ends or is stopped, everything that it started ends with it, including daemons,
 * unless they cleared their environment. No service outlives this process, however it ends: a guard
 * process ensures it.
 *
 * @example
 * ```ts
 * import { localRuntime } from "@micro-es/runtime/runtime/local";
 *
 * await using runtime = localRuntime();
 * await runtime.create({ name: "greeter", command: ["node", "dist/main.js"] });
 * ```
 */
export function localRuntime(options: LocalRuntimeOptions = {}): Runtime {
  checkOptions("localRuntime", options, {
    logBytes: countOrNone,
    backoff: optionsOf<Backoff>({
      firstMs: required(backoffKinds.firstMs),
      factor: required(backoffKinds.factor),
      mostMs: required(backoffKinds.mostMs),
      jitter: required(backoffKinds.jitter),
    }),
    crashLoopFailures: count,
    goodMs: durationMs(0),
    orphanGraceMs: durationMs(0),
  });
  return new LocalRuntime(options);
}

const defaultBackoff: Backoff = { firstMs: 250, factor: 2, mostMs: 30_000, jitter: 0.2 };

class LocalRuntime implements Runtime {
  readonly name = "local";
  readonly guarantees: RuntimeGuarantees = { reach: "host", lifetime: "runtime", logs: "memory" };
  readonly #options: LocalRuntimeOptions;
  readonly #mark: string = randomUUID();
  readonly #guard: Guard;
  readonly #status = new BackendStatus();
  readonly #services = new Map<string, LocalService>();
  readonly #listeners = new Set<(status: RunStatus) => void>();
  #created = 0;
  #closing = false;

  constructor(options: LocalRuntimeOptions) {
    this.#options = options;
    const graceMs = options.orphanGraceMs ?? 2_000;
    this.#guard = new Guard(this.#mark, graceMs, (is) => this.#isGuarded(is));
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  onChange(listener: (status: RunStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async create(spec: RunSpec): Promise<RunStatus> {
    this.#requireOpen(spec.name);
    checkSpec(spec);
    await this.#startGuard();
    this.#requireOpen(spec.name);
    if (this.#services.has(spec.name)) {
      throw new MicroError("already_exists", `there is a service ${spec.name} already; update it`, {
        outcome: "not-executed",
      });
    }
    const { logBytes = 1024 * 1024, backoff = defaultBackoff } = this.#options;
    const { crashLoopFailures = 5, goodMs = 10_000 } = this.#options;
    const service = new LocalService(spec, {
      // The end mark keeps the first service's mark from matching that of the tenth.
      mark: `${this.#mark}.${++this.#created};`,
      guard: this.#guard,
      logs: new OutputRing(logBytes),
      backoff,
      crashLoopFailures,
      goodMs,
      changed: (status) => this.#tell(status),
    });
    this.#services.set(spec.name, service);
    return service.start();
  }

  async read(name: string): Promise<RunStatus> {
    return this.#service(name).status;
  }

  async list(): Promise<readonly RunStatus[]> {
    return [...this.#services.values()].map((service) => service.status);
  }

  async update(
    name: string,
    changes: RunChanges = {},
    options: RunUpdateOptions = {},
  ): Promise<RunStatus> {
    checkOptions(`update the service ${name}`, options, { reason: text });
    const service = this.#service(name);
    checkSpec({ ...service.status.spec, ...changes });
    return service.restart(changes, options.reason ?? "updated");
  }

  async delete(name: string, options: RunDeleteOptions = {}): Promise<void> {
    checkOptions(`delete the service ${name}`, options, { graceMs: durationMs(0) });
    const service = this.#service(name);
    await service.delete(options.graceMs, "deleted");
    if (this.#services.get(name) === service) this.#services.delete(name);
  }

  logs(name: string, options: RunLogsOptions = {}): AsyncIterable<RunLog> {
    checkOptions(`read the logs of ${name}`, options, { tail: countOrNone, follow: flag, signal });
    return this.#service(name).logs.read(options);
  }

  async close(graceMs?: number): Promise<void> {
    this.#closing = true;
    const all = [...this.#services.values()];
    await Promise.all(all.map((service) => service.delete(graceMs, "the runtime closes")));
    this.#services.clear();
    await this.#guard.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #startGuard(): Promise<void> {
    if (process.platform === "win32") {
      throw new MicroError(
        "failed_precondition",
        "the local runtime needs process groups, which Linux and macOS have and Windows has not; use WSL",
        { outcome: "not-executed" },
      );
    }
    try {
      await this.#guard.start();
    } catch (cause) {
      throw new MicroError(
        "failed_precondition",
        `nothing is started that could outlive this process, and its guard cannot be: ${(cause as Error).message}`,
        { outcome: "not-executed", cause },
      );
    }
  }

  #isGuarded(is: boolean): void {
    if (is) this.#status.set("healthy");
    else {
      const what =
        "its guard has ended; until the next one is there, services may outlive this process";
      this.#status.set("degraded", new MicroError("unavailable", what));
    }
  }

  #service(name: string): LocalService {
    const service = this.#services.get(name);
    if (service !== undefined) return service;
    const names = [...this.#services.keys()].join(", ") || "none";
    throw new MicroError("not_found", `there is no service ${name}; there are: ${names}`, {
      outcome: "not-executed",
    });
  }

  #requireOpen(name: string): void {
    if (!this.#closing) return;
    throw new MicroError("failed_precondition", `${name} cannot start: the runtime is closed`, {
      outcome: "not-executed",
    });
  }

  /**
   * A listener that throws is the application's mistake; it must not keep a service from being
   * supervised.
   */
  #tell(status: RunStatus): void {
    for (const listener of this.#listeners) {
      try {
        listener(status);
      } catch (error) {
        process.emitWarning(`a listener of the runtime threw: ${error}`, "MicroWarning");
      }
    }
  }
}
