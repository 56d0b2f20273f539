import { pauseUntilAborted, throwIfAborted, untilAborted } from "../base/abort.ts";
import type { BackendState } from "../base/backend-state.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import { LinkedSignal } from "../base/linked-signal.ts";
import type { Logger } from "../base/logger.ts";
import type { ConfigSource, ConfigTable } from "./config.ts";
import { checkTable } from "./config-table.ts";

/** The configuration that a source belongs to. */
export interface SourceOwner {
  readonly logger: Logger;
  /** Maximum time to load the source, in milliseconds. */
  readonly loadTimeoutMs: number;
  /** Aborts when the configuration is closed, which ends every load and watch. */
  readonly closing: AbortSignal;
  /** Applies the values of the source after they or its problem changed. Must not throw. */
  changed(): void;
}

/** Wait before a watch that ended by itself is restarted, in milliseconds. */
const rewatchMs = 1000;

/** A source of a configuration, with its latest values. */
export class FollowedSource {
  readonly source: ConfigSource;
  /** The last good table; undefined until there is one. */
  latest: ConfigTable | undefined;
  /** The table in force. */
  accepted: ConfigTable | undefined;
  /** Why the source has no current values. */
  problem: MicroError | undefined;
  readonly #owner: SourceOwner;

  constructor(source: ConfigSource, owner: SourceOwner) {
    this.source = source;
    this.#owner = owner;
  }

  get name(): string {
    return this.source.name;
  }

  /**
   * Loads the source and keeps its values, or the reason why it has none.
   * @param signal cancels the first load only: later loads belong to the configuration and end when
   * it is closed.
   * @throws MicroError only when the signal aborts.
   */
  async load(signal?: AbortSignal): Promise<void> {
    const { loadTimeoutMs, closing } = this.#owner;
    const timeout = new AbortController();
    const timer = setTimeout(
      () =>
        timeout.abort(
          new MicroError(
            "unavailable",
            `the config source ${this.name} was not loaded within ${loadTimeoutMs} ms`,
          ),
        ),
      loadTimeoutMs,
    );
    const limit = new LinkedSignal(timeout.signal, closing, signal);
    try {
      // A source may ignore its signal.
      const loaded = await untilAborted(this.source.load({ signal: limit.signal }), limit.signal);
      this.#accept(loaded);
    } catch (error) {
      throwIfAborted(signal);
      this.problem = asMicroError(error);
    } finally {
      clearTimeout(timer);
      limit.release();
    }
  }

  /** Begins to watch the source; undefined if it cannot change. */
  beginWatch(): AsyncIterable<ConfigTable> | undefined {
    return this.source.watch?.({ signal: this.#owner.closing });
  }

  /** Reports the changes of a watch, and of later ones, until the configuration is closed. */
  async follow(first: AsyncIterable<ConfigTable>): Promise<void> {
    const { closing } = this.#owner;
    let watch: AsyncIterable<ConfigTable> | undefined = first;
    while (!closing.aborted) {
      try {
        for await (const values of watch ?? []) this.#take(values);
      } catch (error) {
        this.#failed(error);
      }
      await pauseUntilAborted(rewatchMs, closing);
      if (closing.aborted) return;
      try {
        watch = this.beginWatch();
      } catch (error) {
        watch = undefined;
        this.#failed(error);
        continue;
      }
      // Only loading reveals changes made between the two watches.
      await this.load();
      this.#owner.changed();
    }
  }

  /** Handles a change of the source's state. */
  noteState(state: BackendState, reason: MicroError | undefined): void {
    if (state === "healthy") {
      this.problem = undefined;
      this.#owner.logger.info({ source: this.name }, "a config source is healthy again");
    } else {
      this.#logProblem(reason ?? new MicroError("unavailable", `the config source is ${state}`));
    }
    this.#owner.changed();
  }

  #accept(values: ConfigTable): void {
    this.latest = checkTable(values, this.name);
    this.problem = undefined;
  }

  #take(values: ConfigTable): void {
    try {
      this.#accept(values);
    } catch (error) {
      this.#logProblem(error);
    }
    this.#owner.changed();
  }

  #failed(error: unknown): void {
    this.#logProblem(error);
    this.#owner.changed();
  }

  #logProblem(reason: unknown): void {
    this.problem = asMicroError(reason);
    this.#owner.logger.error(
      { source: this.name, error: this.problem },
      "config source is invalid; keeping its last good values",
    );
  }
}
