import type { Logger, MicroError } from "@micro-es/runtime";
import type { Following, NodeFollower, StoredNode } from "@micro-es/runtime/driver";
import { FollowedQuery } from "../link/followed-query.ts";
import type { ConsulLink } from "../link/link.ts";
import { type Instance, type Reading, readService } from "./reading.ts";
import { decodeService } from "./record.ts";

/** Follows the instances of one service by a blocking query, and tells what changed. */
export class FollowedService implements Following {
  readonly #service: string;
  readonly #follower: NodeFollower;
  readonly #logger: Logger;
  readonly #query: FollowedQuery<Reading>;
  readonly #onClose: () => void;
  /** When each instance that is alive last changed, by key and by Consul's index. */
  #modified = new Map<string, number>();
  #warnedRefused = false;

  /** @param waitMs how long a query may wait for a change, in milliseconds. */
  constructor(
    link: ConsulLink,
    service: string,
    follower: NodeFollower,
    logger: Logger,
    waitMs: () => number,
    onClose: () => void,
  ) {
    this.#service = service;
    this.#follower = follower;
    this.#logger = logger;
    this.#onClose = onClose;
    this.#query = new FollowedQuery<Reading>(
      link,
      (after, signal) => readService(link, service, { after, waitMs: waitMs(), signal }),
      {
        read: (reading, isSnapshot) => this.#apply(reading, isSnapshot),
        failed: (reason, isRefused) => this.#failed(reason, isRefused),
        resumed: () => follower.resumed(),
      },
    );
  }

  get isCurrent(): boolean {
    return this.#query.isCurrent;
  }

  /** Takes what was read elsewhere in this process, unless it is older than what is known. */
  accept(reading: Reading): void {
    this.#query.accept(reading);
  }

  async close(): Promise<void> {
    this.#onClose();
    await this.#query.close();
  }

  #apply({ instances }: Reading, isSnapshot: boolean): void {
    // Registered at several agents: the last one counts.
    const alive = instances
      .filter(({ isAlive }) => isAlive)
      .sort((a, b) => a.modified - b.modified);
    const before = this.#modified;
    this.#modified = new Map(alive.map((instance) => [keyOf(instance), instance.modified]));
    this.#warnedRefused = false;
    // After a loss of data, an index may come back with other contents.
    if (isSnapshot) {
      this.#follower.snapshot(alive.map(stored));
      return;
    }
    for (const key of before.keys()) if (!this.#modified.has(key)) this.#follower.delete(key);
    const changed = new Set<string>();
    for (const instance of alive) {
      const record = stored(instance);
      const { id } = instance.service;
      // One that comes back at an agent does not replace a later one of its id at another agent.
      if (before.get(record.key) === instance.modified && !changed.has(id)) continue;
      changed.add(id);
      // One that is ignored now may be taken once there are fewer.
      if (!this.#follower.put(record)) this.#modified.delete(record.key);
    }
  }

  #failed(error: MicroError, isRefused: boolean): void {
    this.#follower.failed(error);
    if (!isRefused || this.#warnedRefused) return;
    this.#warnedRefused = true;
    this.#logger.warn(
      { service: this.#service, error },
      "Consul refuses to list the nodes of a service; trying again",
    );
  }
}

function stored(instance: Instance): StoredNode {
  return { key: keyOf(instance), decode: () => decodeService(instance.service) };
}

/** An id is unique for each agent only. */
function keyOf({ agent, service }: Instance): string {
  return JSON.stringify([agent, service.id]);
}
