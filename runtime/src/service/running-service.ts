import { constants } from "node:os";
import { listenForAbort } from "../base/abort.ts";
import type { Backend } from "../base/backend-state.ts";
import { asMicroError, MicroError, messageOf, readableThrown } from "../base/error.ts";
import type { LogFields, Logger } from "../base/logger.ts";
import { checkOptions, signal as signalKind } from "../base/option-check.ts";
import { closeWithin, partName } from "../base/settle-all.ts";
import type { Broker } from "../broker/broker.ts";
import { closeForCaller } from "../broker/close-for-caller.ts";
import type { Client } from "../client/client.ts";
import type { Config } from "../config/config.ts";
import type { Registry } from "../registry/registry.ts";
import { GracePeriod } from "../server/grace-period.ts";
import type { ServerListen } from "../server/rpc-server.ts";
import type { Server } from "../server/server.ts";
import type { Store } from "../store/store.ts";
import type { Sync } from "../sync/sync.ts";
import type { Transport } from "../transport/transport.ts";
import { checkRequirements, type Requirements } from "./check-guarantees.ts";
import { type Hook, Hooks } from "./hooks.ts";
import { logBackendStates } from "./log-backend-states.ts";
import type { RunOptions, Service, ServiceState } from "./service.ts";
import { keepAlive, onStopSignal } from "./stop-signals.ts";

/** The parts of a {@link RunningService}. */
export interface ServiceParts {
  readonly name: string;
  readonly version: string;
  readonly id: string;
  readonly server: Server;
  /** Where the server listens. */
  readonly listen: readonly ServerListen[];
  readonly client: Client;
  readonly broker: Broker;
  readonly registry: Registry;
  readonly store: Store;
  readonly sync: Sync;
  readonly transports: readonly Transport[];
  readonly logger: Logger;
  readonly config: Config | undefined;
  /** Auth and rules, by their name in the log. */
  readonly access: Readonly<Record<string, Backend>>;
  readonly require: Requirements;
  /** Time for in-flight work to finish on stop, in milliseconds. */
  readonly graceMs: number;
  /** What the service created itself and closes, in this order, after the server. */
  readonly owned: readonly { close(): Promise<void> }[];
}

/**
 * The additional time, after the grace period, that closing allows a part that does not end, in
 * milliseconds.
 */
const partingMs = 2_000;

/** Starts and stops a service's parts in order. */
export class RunningService implements Service {
  readonly name: string;
  readonly version: string;
  readonly id: string;
  readonly server: Server;
  readonly client: Client;
  readonly broker: Broker;
  readonly registry: Registry;
  readonly store: Store;
  readonly sync: Sync;
  readonly transports: readonly Transport[];
  readonly logger: Logger;
  readonly config: Config | undefined;
  readonly #listen: readonly ServerListen[];
  readonly #access: ServiceParts["access"];
  readonly #require: Requirements;
  readonly #graceMs: number;
  readonly #owned: ServiceParts["owned"];
  readonly #grace = new GracePeriod();
  readonly #hooksGrace = new GracePeriod();
  readonly #onStart: Hooks;
  readonly #onReady: Hooks;
  readonly #onStop: Hooks;
  #state: ServiceState = "created";
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #stopped: (() => void)[] = [];
  #endStateLog = () => {};
  #serverStarting = false;
  /** Whether a stop was requested during the start. */
  #interrupted = false;

  constructor(parts: ServiceParts) {
    this.name = parts.name;
    this.version = parts.version;
    this.id = parts.id;
    this.server = parts.server;
    this.client = parts.client;
    this.broker = parts.broker;
    this.registry = parts.registry;
    this.store = parts.store;
    this.sync = parts.sync;
    this.transports = parts.transports;
    this.#listen = parts.listen;
    this.#access = parts.access;
    this.#require = parts.require;
    this.logger = parts.logger;
    this.config = parts.config;
    this.#graceMs = parts.graceMs;
    this.#owned = parts.owned;
    this.#onStart = new Hooks(parts.name, "an onStart");
    this.#onReady = new Hooks(parts.name, "an onReady");
    this.#onStop = new Hooks(parts.name, "an onStop");
  }

  get state(): ServiceState {
    return this.#state;
  }

  onStart(hook: Hook): void {
    this.#onStart.add(hook);
  }

  onReady(hook: Hook): void {
    this.#onReady.add(hook);
  }

  onStop(hook: Hook): void {
    this.#onStop.add(hook);
  }

  start(): Promise<void> {
    if (this.#stopping !== undefined) return Promise.reject(this.#over());
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async run(options: RunOptions = {}): Promise<void> {
    checkOptions("run", options, { signal: signalKind });
    const { signal } = options;
    const mayExit = keepAlive();
    const forget = onStopSignal((name, again) => this.#onStopSignal(name, again));
    // `run` itself waits for the stop to finish, so its failure is not lost here.
    const stop = () => void this.stop().catch(() => {});
    const stopListening = listenForAbort(signal, stop);
    try {
      if (signal?.aborted === true) return await this.stop();
      const started = this.start().catch((reason) => {
        // A start that a stop interrupted has not failed.
        if (!this.#interrupted) throw reason;
      });
      const stopped = this.#untilStopped();
      // A stop does not wait forever for a start that does not end.
      await Promise.race([started, stopped.then(() => (this.#interrupted ? undefined : started))]);
      await stopped;
      await this.#stopping;
    } catch (reason) {
      // For a program that handles the rejection of `run` and then ends.
      process.exitCode ||= 1;
      throw reason;
    } finally {
      stopListening();
      forget();
      mayExit();
    }
  }

  stop(graceMs: number = this.#graceMs): Promise<void> {
    this.#grace.shorten(graceMs);
    if (this.#stopping === undefined) {
      this.#interrupted = this.#starting !== undefined && this.#state === "starting";
      this.#stopping = this.#stop();
    } else {
      // The caller that waits for the first stop receives failures.
      void this.#closeServer(graceMs).catch(() => {});
      this.#hooksGrace.shorten(graceMs + partingMs);
    }
    return closeForCaller(this.#stopping, this.server.subscriptions, this.logger, this.#grace);
  }

  close(graceMs?: number): Promise<void> {
    return this.stop(graceMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #start(): Promise<void> {
    this.#state = "starting";
    try {
      // Awaited only if there is something to open: what otherwise happens synchronously in start()
      // must not happen later.
      if (this.store.open !== undefined) await this.store.open();
      const { registry, broker, store, sync, config } = this;
      if (config?.open !== undefined) await config.open();
      const parts = { listen: this.#listen, registry, broker, store, sync, config };
      checkRequirements(this.name, parts, this.#require);
      this.#endStateLog = logBackendStates(
        this.name,
        { registry, broker, store, sync, ...this.#access },
        this.logger,
      );
      await this.#onStart.run();
      if (this.#stopping === undefined) {
        this.#serverStarting = true;
        await this.server.start();
        this.#serverStarting = false;
      }
      if (this.#stopping === undefined) await this.#onReady.run();
      if (this.#stopping !== undefined) return;
      this.#state = "running";
    } catch (reason) {
      if (!this.#interrupted) {
        this.#log("error", { error: reason }, "the service could not start");
      }
      // A stop in progress waits for this start.
      if (this.#stopping === undefined) {
        this.#starting = undefined;
        await this.stop(0).catch(() => {});
      }
      throw reason;
    }
  }

  /**
   * Always completes: parts that cannot be closed are logged by name, and make it reject
   * afterwards.
   */
  async #stop(): Promise<void> {
    const began = performance.now();
    await this.#startEnds();
    const wasRunning = this.#state === "running";
    this.#state = "stopping";
    const failures: MicroError[] = [];
    const attempt = async (what: string, work: () => unknown) => {
      try {
        await work();
      } catch (reason) {
        failures.push(asMicroError(reason, "internal"));
        this.#log("error", { error: readableThrown(reason) }, what);
      }
    };
    await attempt("the service could not end its log of states", () => this.#endStateLog());
    await attempt("the server did not close cleanly", () => this.#closeServer(this.#grace.leftMs));
    await this.#runStopHooks(failures);
    for (const part of this.#owned) {
      const what = `${partName(part)}, a part of the service, did not close`;
      await attempt(what, () => closeWithin(partingMs, part));
    }
    this.#grace.end();
    this.#hooksGrace.end();
    this.#state = "stopped";
    for (const resolve of this.#stopped) resolve();
    if (wasRunning) {
      const ms = Math.round(performance.now() - began);
      this.#log("info", { ms }, "the service has stopped");
    }
    if (failures[0] !== undefined) throw failures[0];
  }

  /**
   * Waits for a start in progress, which ends as soon as it waits only for the server's backends.
   */
  async #startEnds(): Promise<void> {
    if (this.#starting === undefined) return;
    if (this.#serverStarting) void this.#closeServer(this.#grace.leftMs).catch(() => {});
    await this.#grace.wait(this.#starting.catch(() => {}));
  }

  async #closeServer(graceMs: number): Promise<void> {
    await this.server.close(graceMs);
  }

  async #runStopHooks(failures: MicroError[]): Promise<void> {
    this.#hooksGrace.shorten(this.#grace.leftMs + partingMs);
    await this.#hooksGrace.wait(
      this.#onStop.runAllBackwards().then((failed) => {
        for (const error of failed) this.#log("error", { error }, error.message);
        failures.push(...failed);
      }),
    );
  }

  /** A logger that throws must not keep the service from stopping. */
  #log(level: "info" | "warn" | "error", fields: LogFields, message: string): void {
    try {
      this.logger[level]({ service: this.name, ...fields }, message);
    } catch (reason) {
      process.emitWarning(`the logger threw at "${message}": ${messageOf(reason)}`);
    }
  }

  #onStopSignal(signal: NodeJS.Signals, again: boolean): void {
    if (again) {
      this.#log("warn", { signal }, "second stop signal: shutting down immediately");
      process.exitCode = 128 + constants.signals[signal];
    } else {
      this.#log("info", { signal }, "told to stop");
    }
    void this.stop(again ? 0 : undefined).catch(() => {});
  }

  #untilStopped(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state === "stopped") resolve();
      else this.#stopped.push(resolve);
    });
  }

  #over(): MicroError {
    return new MicroError(
      "failed_precondition",
      `service ${this.name} is ${this.#state} and cannot start again; create another one`,
      { outcome: "not-executed" },
    );
  }
}
