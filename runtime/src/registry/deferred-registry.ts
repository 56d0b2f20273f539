import { type BackendState, BackendStatus, type StateListener } from "../base/backend-state.ts";
import { Closable } from "../base/closable.ts";
import type { Logger } from "../base/logger.ts";
import type { PartLogger } from "../base/part-logger.ts";
import { checkReadOptions, type ReadOptions } from "./option-kinds.ts";
import type {
  Node,
  RegisterOptions,
  Registration,
  Registry,
  RegistryEvent,
  RegistryGuarantees,
} from "./registry.ts";
import { validateServiceName } from "./validate.ts";

/**
 * A registry whose code is loaded, and whose sockets are opened, by its first operation. Every
 * operation is then forwarded to it.
 */
export abstract class DeferredRegistry<R extends Registry> extends Closable implements Registry {
  abstract readonly name: string;
  abstract readonly guarantees: RegistryGuarantees;
  readonly #status = new BackendStatus();
  readonly #logger: PartLogger;
  #loading: Promise<R> | undefined;
  #loaded: R | undefined;

  /** @param logger that of the actual registry. */
  constructor(logger: PartLogger) {
    super();
    this.#logger = logger;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  async register(node: Node, options?: RegisterOptions): Promise<Registration> {
    return (await this.#load()).register(node, options);
  }

  async get(service: string, options: ReadOptions = {}): Promise<readonly Node[]> {
    checkReadOptions(`get ${service}`, options);
    return (await this.#load()).get(service, options);
  }

  async list(options: ReadOptions = {}): Promise<readonly string[]> {
    checkReadOptions("list services", options);
    return (await this.#load()).list(options);
  }

  watch(service: string, options: ReadOptions = {}): AsyncIterable<RegistryEvent> {
    checkReadOptions(`watch ${service}`, options);
    validateServiceName(service);
    return {
      [Symbol.asyncIterator]: () => {
        const watching = this.#load().then((registry) =>
          registry.watch(service, options)[Symbol.asyncIterator](),
        );
        return {
          next: async () => (await watching).next(),
          return: async () =>
            (await (await watching).return?.()) ?? { done: true, value: undefined },
        };
      },
    };
  }

  /** Loads the actual registry. */
  protected abstract load(): Promise<R>;

  /** The actual registry; undefined before the first operation. */
  protected get loaded(): R | undefined {
    return this.#loaded;
  }

  protected override async closeOnce(): Promise<void> {
    await (await this.#loading)?.close();
  }

  #load(): Promise<R> {
    this.#loading ??= this.#make();
    return this.#loading;
  }

  async #make(): Promise<R> {
    const registry = await this.load();
    registry.onStateChange((state, reason) => this.#status.set(state, reason));
    this.#loaded = registry;
    // A closed registry reports that to callers that still use it.
    if (this.isClosing) await registry.close();
    return registry;
  }
}
