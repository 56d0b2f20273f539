import { Changes } from "./changes.ts";

/** What is known of a service: whether it answers calls. */
export type ServingStatus = "serving" | "not_serving";

/** The name of a server as a whole, in gRPC's health checking. */
export const wholeServer = "";

/**
 * Whether services answer calls, for those who ask and those who wait for changes. A watcher gets the newest
 * status; one that reads slowly misses those in between.
 */
export class HealthStatus {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #changes = new Changes();
  #over = false;

  /** @param services that are known from the start, and serve; the whole server is one of them. */
  constructor(services: Iterable<string> = []) {
    this.#statuses.set(wholeServer, "serving");
    for (const service of services) this.#statuses.set(service, "serving");
  }

  /** How a service is; undefined when it is not known. */
  get(service: string): ServingStatus | undefined {
    return this.#statuses.get(service);
  }

  set(service: string, status: ServingStatus): void {
    if (this.#over || this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    this.#changes.tell();
  }

  /** Nothing is served any more: watchers hear of it, and are at their end. */
  shutDown(): void {
    for (const service of this.#statuses.keys()) this.#statuses.set(service, "not_serving");
    this.#over = true;
    this.#changes.tell();
  }

  /** The status now, and at each change, until the signal fires or everything is shut down. */
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
