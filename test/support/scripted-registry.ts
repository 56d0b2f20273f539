import type { BackendState, Node, Registry, RegistryEvent } from "@micro-es/runtime";
import { BackendStatus, type Registration, type StateListener } from "@micro-es/runtime/driver";

/** A registry whose nodes, events and errors come from a test. */
export class ScriptedRegistry implements Registry {
  readonly name = "scripted";
  readonly guarantees = {
    registers: true,
    reach: "process",
    consistency: "strong",
    liveness: "process",
  } as const;
  readonly #status = new BackendStatus();
  readonly #watches = new Set<Watch>();
  /** Watches that were begun, in all. */
  begun = 0;

  get state(): BackendState {
    return this.#status.state;
  }

  set state(state: BackendState) {
    this.#status.set(state);
  }

  /** Services that are watched now, one for each watch. */
  get watched(): string[] {
    return Array.from(this.#watches, (watch) => watch.service);
  }

  /** Gives an event to every watch of the service, and lets it be taken. */
  async tell(service: string, event: RegistryEvent): Promise<void> {
    for (const watch of this.#watches) if (watch.service === service) watch.push(event);
    await turns();
  }

  /** Makes every watch fail. */
  async fail(reason: Error): Promise<void> {
    for (const watch of this.#watches) watch.fail(reason);
    await turns();
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  register(): Promise<Registration> {
    throw new Error("a scripted registry registers nothing");
  }

  async get(): Promise<readonly Node[]> {
    return [];
  }

  async list(): Promise<readonly string[]> {
    return [];
  }

  watch(service: string, options: { signal?: AbortSignal } = {}): AsyncIterable<RegistryEvent> {
    this.begun++;
    const watch = new Watch(service, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    options.signal?.addEventListener("abort", () => watch.end(), { once: true });
    return watch;
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Lets everything that is ready run. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

class Watch implements AsyncIterableIterator<RegistryEvent> {
  readonly service: string;
  readonly #onEnd: () => void;
  readonly #events: RegistryEvent[] = [];
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  #ended = false;

  constructor(service: string, onEnd: () => void) {
    this.service = service;
    this.#onEnd = onEnd;
  }

  push(event: RegistryEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  fail(reason: Error): void {
    this.#failure = reason;
    this.end();
  }

  end(): void {
    this.#ended = true;
    this.#onEnd();
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<RegistryEvent>> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return { done: false, value: event };
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<RegistryEvent>> {
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
