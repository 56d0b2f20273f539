import { asMicroError, MicroError } from "../base/error.ts";
import type { Awaitable } from "../call/call.ts";

/** A function that a program runs at a stage of its service's lifecycle. */
export type Hook = () => Awaitable<void>;

/** The hooks of one stage, such as `onStop`. */
export class Hooks {
  readonly #service: string;
  readonly #turn: string;
  readonly #hooks: Hook[] = [];

  constructor(service: string, turn: string) {
    this.#service = service;
    this.#turn = turn;
  }

  add(hook: Hook): void {
    this.#hooks.push(hook);
  }

  /**
   * Runs the hooks sequentially, in the order they were added, up to the first that fails.
   * @throws MicroError with the hook's code and message, and its error as the cause.
   */
  async run(): Promise<void> {
    for (const [index, hook] of this.#hooks.entries()) {
      try {
        await hook();
      } catch (reason) {
        throw this.#failed(index, reason);
      }
    }
  }

  /** Runs all hooks, the last added first, regardless of failures; returns the failures. */
  async runAllBackwards(): Promise<readonly MicroError[]> {
    const failures: MicroError[] = [];
    for (const [index, hook] of [...this.#hooks.entries()].reverse()) {
      try {
        await hook();
      } catch (reason) {
        failures.push(this.#failed(index, reason));
      }
    }
    return failures;
  }

  #failed(index: number, reason: unknown): MicroError {
    const { code, message } = asMicroError(reason, "internal");
    const which = this.#hooks.length === 1 ? "" : ` ${index + 1} of ${this.#hooks.length}`;
    return new MicroError(
      code,
      `${this.#turn} hook${which} of service ${this.#service} failed: ${message}`,
      { cause: reason },
    );
  }
}
