import type { Logger } from "../base/logger.ts";
import { describe } from "./handler-errors.ts";
import type { ServerState } from "./server.ts";

/** Whether a server should receive new calls, for load balancers that probe `/readyz`. */
export class Readiness {
  readonly #checks = new Map<string, () => boolean>();
  readonly #logger: Logger;
  /** The checks that threw in the last probe, so that each failure is logged once. */
  readonly #throwing = new Set<string>();
  #isProbed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Whether anything has probed the server, and so has to notice a drain before calls are refused.
   */
  get isProbed(): boolean {
    return this.#isProbed;
  }

  /** Adds a check; replaces one with the same name. */
  add(name: string, isReady: () => boolean): void {
    this.#checks.set(name, isReady);
  }

  /** Returns why a server in this state is not ready; undefined when it is. It never throws. */
  probe(state: ServerState): string | undefined {
    this.#isProbed = true;
    if (state === "created") return "starting";
    if (state !== "listening") return "draining";
    const failed = [...this.#checks.keys()].filter((name) => !this.#passes(name));
    return failed.length === 0 ? undefined : `not ready: ${failed.join(", ")}`;
  }

  #passes(name: string): boolean {
    try {
      const passes = this.#checks.get(name)?.() === true;
      this.#throwing.delete(name);
      return passes;
    } catch (error) {
      if (!this.#throwing.has(name)) {
        this.#throwing.add(name);
        this.#logger.warn({ check: name, error: describe(error) }, "a readiness check threw");
      }
      return false;
    }
  }
}
