import { setTimeout as sleep } from "node:timers/promises";
import { asMicroError } from "@micro-es/runtime";

/** A call under a steady load. */
export interface SteadyCall {
  /** When it was sent; on the clock of `performance.now()`. */
  readonly sentAt: number;
  readonly tookMs: number;
  /** Code and message of its error; undefined if it succeeded. */
  readonly failure: string | undefined;
}

/** Calls at a fixed rate, however long responses take, and keeps the result of each. */
export class SteadyCalls implements AsyncDisposable {
  readonly calls: SteadyCall[] = [];
  readonly #stop = new AbortController();
  readonly #open = new Set<Promise<void>>();
  readonly #done: Promise<void>;

  /** @param call the number of calls made before is given to it */
  constructor(perSecond: number, call: (turn: number) => Promise<unknown>) {
    this.#done = this.#run(perSecond, call);
  }

  get failures(): readonly SteadyCall[] {
    return this.calls.filter(({ failure }) => failure !== undefined);
  }

  /** Sends no further calls, and waits for the open ones. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await Promise.all(this.#open);
  }

  async #run(perSecond: number, call: (turn: number) => Promise<unknown>): Promise<void> {
    const began = performance.now();
    let turn = 0;
    while (!this.#stop.signal.aborted) {
      const due = Math.floor(((performance.now() - began) / 1_000) * perSecond);
      for (; turn < due; turn++) {
        const one = this.#callOnce(() => call(turn)).finally(() => this.#open.delete(one));
        this.#open.add(one);
      }
      await sleep(5);
    }
  }

  async #callOnce(call: () => Promise<unknown>): Promise<void> {
    const sentAt = performance.now();
    let failure: string | undefined;
    try {
      await call();
    } catch (reason) {
      const { code, message } = asMicroError(reason);
      failure = `${code}: ${message}`;
    }
    this.calls.push({ sentAt, tookMs: performance.now() - sentAt, failure });
  }
}
