import { Changes } from "../base/changes.ts";

/** The status of a service: whether it responds to calls. */
export type ServingStatus = "serving" | "not_serving";

/** The name of a server as a whole, in gRPC's health checking. */
export const wholeServer = "";

/**
 * The serving status of services, to read and to watch. A watcher receives the latest status; a
 * slow one misses those in between.
 */
export class HealthStatus {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #changes = new Changes();
  #over = false;

  /**
   * @param services services known from the start, as serving; the whole server is always one of
   * them.
   */
  constructor(services: Iterable<string> = []) {
    this.#statuses.set(wholeServer, "serving");
    for (const service of services) this.#statuses.set(service, "serving");
  }

  /** The status of a service; undefined if it is not known. */
  get(service: string): ServingStatus | undefined {
    return this.#statuses.get(service);
  }

  set(service: string, status: ServingStatus): void {
    if (this.#over || this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    this.#changes.tell();
  }

  /** Marks everything as not serving: watchers are notified, and then end. */
  shutDown(): void {
    for (const service of this.#statuses.keys()) this.#statuses.set(service, "not_serving");
    this.#over = true;
    this.#changes.tell();
  }

  /**
   * Yields the current status and each change, until the signal aborts or everything is shut down.
   */
  async *watch(
    service: string,
    signal: AbortSignal,
  ): AsyncGenerator<ServingStatus | undefined, undefined> {
    let last: ServingStatus | "never" | undefined = "never";
    while (!signal.aborted) {
      const status = this.#statuses.get(service);
      if (status !== last) {
        last = status;
        yield status;
      } else if (this.#over) {
        return;
      } else {
        await this.#changes.next(signal);
      }
    }
  }
}
