import type { Registry } from "@micro-es/runtime";
import type { WatchEvent } from "../check-watch.ts";
import { until } from "../until.ts";
import type { RegistryServer } from "./backend.ts";

/** What a watcher of the service `work` is told, until it ends. */
export class WatchedNodes {
  readonly events: WatchEvent[] = [];
  readonly #ending = new AbortController();
  readonly #watching: Promise<void>;

  constructor(registry: Registry) {
    this.#watching = this.#watch(registry);
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#watching;
  }

  async #watch(registry: Registry): Promise<void> {
    const { signal } = this.#ending;
    for await (const event of registry.watch("work", { signal })) {
      this.events.push(
        event.type === "snapshot"
          ? {
              type: "snapshot",
              items: new Map(event.nodes.map((node) => [node.id, revisionOf(node)])),
            }
          : { type: event.type, id: event.node.id, revision: revisionOf(event.node) },
      );
    }
  }
}

/** Changes that were made, and their result. */
export interface MadeChanges {
  /** All revisions that were ever written, by node. */
  readonly written: ReadonlyMap<string, ReadonlySet<number>>;
  /** The revision of each node that is left. */
  readonly truth: ReadonlyMap<string, number>;
}

/**
 * Changes 30 nodes by ten writers at once.
 * @param isEnough whether no more changes are needed when there were that many.
 */
export async function changeNodes(
  server: RegistryServer,
  changes: number,
  isEnough: () => boolean = () => true,
): Promise<MadeChanges> {
  const written = new Map<string, Set<number>>();
  const truth = new Map<string, number>();
  await using writer = await server.writer();
  const change = async (worker: number) => {
    for (let revision = 1; revision <= changes / 10 || !isEnough(); revision++) {
      // Each worker has nodes of its own, so that it knows which change was the last.
      const id = `n${worker * 3 + Math.floor(Math.random() * 3)}`;
      if (truth.has(id) && Math.random() < 0.3) {
        await surely(() => writer.delete(id));
        truth.delete(id);
        continue;
      }
      written.set(id, (written.get(id) ?? new Set()).add(revision));
      await surely(() => writer.put(id, revision));
      truth.set(id, revision);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, worker) => change(worker)));
  return { written, truth };
}

/** Whether a registry knows just these nodes. */
export async function knows(registry: Registry, { truth }: MadeChanges): Promise<boolean> {
  const nodes = await registry.get("work");
  return (
    nodes.length === truth.size && nodes.every((node) => truth.get(node.id) === revisionOf(node))
  );
}

function revisionOf({ metadata }: { readonly metadata: Readonly<Record<string, string>> }): number {
  return Number(metadata.revision);
}

/** A change whose server may be away; made once more, it is the same. */
async function surely(change: () => Promise<void>): Promise<void> {
  const tookMs = await until(() => change().then(() => true), 60_000, 20);
  if (!Number.isFinite(tookMs)) throw new Error("a change was not made within a minute");
}
