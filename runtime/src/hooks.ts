import type { Awaitable } from "./call.ts";
import { asMicroError, MicroError } from "./error.ts";

/** Something that a program does at a turn of its service's life. */
export type Hook = () => Awaitable<void>;

/** The hooks of one turn, such as `onStop`. */
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
   * Runs the hooks one after the other, in the order they were added, up to the first that fails.
   * @throws MicroError with its code and message, and itself as the cause.
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

  /** Runs all, the last that was added first, whatever fails; returns the failures. */
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
