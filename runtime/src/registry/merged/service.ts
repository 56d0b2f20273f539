import { pauseUntilAborted } from "../../base/abort.ts";
import { type Backoff, backoffMs } from "../../base/backoff.ts";
import type { Logger } from "../../base/logger.ts";
import { sharedAbortController } from "../../base/shared-abort-controller.ts";
import type { Node, Registry, RegistryEvent } from "../registry.ts";
import { WatchedNodes } from "../watched-nodes.ts";
import { settleSome } from "./settle-some.ts";

/** How long to wait before watching a member again whose watch ended. */
const rewatch: Backoff = { firstMs: 100, factor: 2, mostMs: 10_000, jitter: 0.5 };

/**
 * The nodes of one service in several registries, by one watch of each. A node exists as long as
 * one of them has it. Where their records differ, that of the first one counts which is not lost.
 */
export class MergedService {
  readonly nodes: WatchedNodes = new WatchedNodes();
  /** Resolves when the members that respond have sent their first snapshot. */
  readonly first: Promise<void>;
  readonly #name: string;
  readonly #members: readonly Registry[];
  readonly #logger: Logger;
  readonly #known: (Map<string, Node> | undefined)[];
  readonly #ended: AbortController = sharedAbortController();
  #isComplete = false;

  constructor(name: string, members: readonly Registry[], logger: Logger) {
    this.#name = name;
    this.#members = members;
    this.#logger = logger;
    this.#known = members.map(() => undefined);
    const snapshots = members.map(
      (_, index) => new Promise<number>((resolve) => void this.#follow(index, resolve)),
    );
    const patience = {
      suffices: (nodes: number) => nodes > 0,
      isHopeless: (index: number) => members[index]?.state === "lost",
    };
    this.first = settleSome(snapshots, patience).then(() => {
      this.#isComplete = true;
      this.refresh();
    });
  }

  /** The nodes that a member last reported; undefined before its first snapshot. */
  knownTo(index: number): readonly Node[] | undefined {
    const nodes = this.#known[index];
    return nodes && [...nodes.values()];
  }

  /** Chooses the records again, after a member was lost or is back. */
  refresh(): void {
    if (!this.#isComplete) return;
    const ids = new Set(this.#known.flatMap((nodes) => [...(nodes?.keys() ?? [])]));
    this.nodes.replace([...ids].flatMap((id) => this.#choose(id) ?? []));
  }

  end(): void {
    this.#ended.abort();
    this.nodes.end();
  }

  #choose(id: string): Node | undefined {
    let ofLost: Node | undefined;
    for (const [index, nodes] of this.#known.entries()) {
      const node = nodes?.get(id);
      if (node === undefined) continue;
      if (this.#members[index]?.state !== "lost") return node;
      ofLost ??= node;
    }
    return ofLost;
  }

  async #follow(index: number, onSnapshot: (nodes: number) => void): Promise<void> {
    const member = this.#members[index]!;
    const { signal } = this.#ended;
    let failures = 0;
    while (!signal.aborted) {
      try {
        for await (const event of member.watch(this.#name, { signal })) {
          failures = 0;
          this.#apply(index, event);
          onSnapshot(this.#known[index]?.size ?? 0);
        }
      } catch (error) {
        if (signal.aborted) return;
        const fields = { registry: member.name, service: this.#name, error };
        this.#logger.warn(fields, "a merged registry cannot watch a service, and tries again");
      }
      await pauseUntilAborted(backoffMs(rewatch, ++failures, Math.random), signal);
    }
  }

  #apply(index: number, event: RegistryEvent): void {
    if (event.type === "snapshot") {
      this.#known[index] = new Map(event.nodes.map((node) => [node.id, node]));
      this.refresh();
      return;
    }
    const { id } = event.node;
    const nodes = this.#known[index] ?? new Map<string, Node>();
    this.#known[index] = nodes;
    if (event.type === "removed") nodes.delete(id);
    else nodes.set(id, event.node);
    if (!this.#isComplete) return;
    const chosen = this.#choose(id);
    if (chosen === undefined) this.nodes.delete(id);
    else this.nodes.put(chosen);
  }
}
