import { constants } from "node:os";
import type { Broker } from "./broker/broker.ts";
import type { Client } from "./client/client.ts";
import type { Config } from "./config/config.ts";
import { DeferredStore } from "./deferred-store.ts";
import { MicroError } from "./error.ts";
import { type Hook, Hooks } from "./hooks.ts";
import type { Logger } from "./logger.ts";
import type { Registry } from "./registry/registry.ts";
import { checkRequirements, type Requirements } from "./requirements.ts";
import { GracePeriod } from "./server/grace.ts";
import type { ServerListen } from "./server/rpc-server.ts";
import type { Server } from "./server/server.ts";
import type { RunOptions, Service, ServiceState } from "./service.ts";
import { keepAlive, onStopSignal } from "./signals.ts";
import { logStates } from "./state-log.ts";
import type { Store } from "./store/store.ts";
import type { Sync } from "./sync/sync.ts";

/** What a {@link RunningService} holds together. */
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
  readonly logger: Logger;
  readonly config: Config | undefined;
  readonly require: Requirements;
  /** Time for what is in flight to finish at a stop, in milliseconds. */
  readonly graceMs: number;
  /** What the service made itself and closes, in this order, after the server. */
  readonly owned: readonly { close(): Promise<void> }[];
}

/** The time that closing gives a part that does not end, over the grace, in milliseconds. */
const partingMs = 2_000;

/** Brings a service's parts up and down in order. */
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
  readonly logger: Logger;
  readonly config: Config | undefined;
  readonly #listen: readonly ServerListen[];
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
    this.#listen = parts.listen;
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
    const { signal } = options;
    const mayExit = keepAlive();
    const forget = onStopSignal((name, again) => this.#hear(name, again));
    // `run` itself waits for the end of the stop, so its failure is not lost here.
    const stop = () => void this.stop().catch(() => {});
    signal?.addEventListener("abort", stop, { once: true });
    try {
      if (signal?.aborted === true) return await this.stop();
      await this.start();
      await this.#untilStopped();
      await this.#stopping;
    } finally {
      signal?.removeEventListener("abort", stop);
      forget();
      mayExit();
    }
  }

  stop(graceMs: number = this.#graceMs): Promise<void> {
    this.#grace.shorten(graceMs);
    if (this.#stopping === undefined) {
      this.#stopping = this.#stop();
    } else {
      void this.server.close(graceMs);
      this.#hooksGrace.shorten(graceMs + partingMs);
    }
    return this.#stopping;
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
      if (this.store instanceof DeferredStore) await this.store.open();
      const { registry, broker, store, sync, config } = this;
      const parts = { listen: this.#listen, registry, broker, store, sync, config };
      checkRequirements(this.name, parts, this.#require);
      await this.#onStart.run();
      await this.server.start();
      await this.#onReady.run();
      if (this.#stopping !== undefined) return;
      this.#state = "running";
      this.#endStateLog = logStates(this.name, { registry, broker, store, sync }, this.logger);
    } catch (reason) {
      this.logger.error({ service: this.name, error: reason }, "the service could not start");
      // A stop that is under way waits for this very start.
      if (this.#stopping === undefined) {
        this.#starting = undefined;
        await this.stop(0).catch(() => {});
      }
      throw reason;
    }
  }

  async #stop(): Promise<void> {
    const began = performance.now();
    await this.#starting?.catch(() => {});
    const wasRunning = this.#state === "running";
    this.#state = "stopping";
    this.#endStateLog();
    await this.server.close(this.#grace.leftMs);
    let failures: readonly MicroError[] = [];
    this.#hooksGrace.shorten(this.#grace.leftMs + partingMs);
    await this.#hooksGrace.wait(
      this.#onStop.runAllBackwards().then((failed) => {
        failures = failed;
      }),
    );
    await this.#closeParts();
    this.#grace.end();
    this.#hooksGrace.end();
    this.#state = "stopped";
    for (const resolve of this.#stopped) resolve();
    for (const error of failures) this.logger.error({ service: this.name, error }, error.message);
    if (wasRunning) {
      const ms = Math.round(performance.now() - began);
      this.logger.info({ service: this.name, ms }, "the service has stopped");
    }
    if (failures[0] !== undefined) throw failures[0];
  }

  /** A part that cannot close must not keep the process, nor the others, from ending. */
  async #closeParts(): Promise<void> {
    for (const part of this.#owned) {
      const parting = new GracePeriod(partingMs);
      await parting.wait(
        part.close().catch((error: unknown) => {
          this.logger.warn({ service: this.name, error }, "a part of the service did not close");
        }),
      );
      parting.end();
    }
  }

  #hear(signal: NodeJS.Signals, again: boolean): void {
    if (again) {
      this.logger.warn({ service: this.name, signal }, "told again to stop: not waiting any more");
      process.exitCode = 128 + constants.signals[signal];
    } else {
      this.logger.info({ service: this.name, signal }, "told to stop");
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
