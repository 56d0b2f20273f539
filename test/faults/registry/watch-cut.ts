import { FaultProxy } from "../../support/proxy.ts";
import { checkWatch, type WatchEvent } from "../check-watch.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { RegistryServer, StartRegistryServer } from "./backend.ts";

/** A service's nodes change constantly, and the watcher's link is cut repeatedly. */
export async function watchCut(startServer: StartRegistryServer, length: Length): Promise<Figure> {
  const [changes, cutEveryMs] = length === "long" ? [100_000, 1_000] : [15_000, 250];
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.port);
  await using registry = server.connect(proxy.port);
  await registry.get("work");
  const events: WatchEvent[] = [];
  const ending = new AbortController();
  const watching = (async () => {
    for await (const event of registry.watch("work", { signal: ending.signal })) {
      const revision = (node: { metadata: Readonly<Record<string, string>> }) =>
        Number(node.metadata.revision);
      events.push(
        event.type === "snapshot"
          ? {
              type: "snapshot",
              items: new Map(event.nodes.map((node) => [node.id, revision(node)])),
            }
          : { type: event.type, id: event.node.id, revision: revision(event.node) },
      );
    }
  })();
  const cutting = setInterval(() => proxy.cut(), cutEveryMs);
  let compactions = 0;
  const compacting = setInterval(() => {
    void server.compact?.().then(() => compactions++);
  }, 5 * cutEveryMs);
  const { written, truth } = await changeNodes(server, changes);
  clearInterval(cutting);
  clearInterval(compacting);
  const same = async () => {
    const nodes = await registry.get("work");
    return (
      nodes.length === truth.size &&
      nodes.every(({ id, metadata }) => truth.get(id) === Number(metadata.revision))
    );
  };
  await until(same, 20_000);
  // The watcher's queue is behind the result of `get` by a turn of the event loop.
  await until(() => checkWatch(events, written, truth).different === 0, 2_000, 50);
  ending.abort();
  await watching;
  const figures = checkWatch(events, written, truth);
  const wrong = figures.inconsistent + figures.backwards + figures.invented + figures.different;
  return {
    id: "D6",
    recipe: `${changes} changes of 30 nodes, the watcher's link cut ${proxy.cuts} times${server.compact ? `, the history compacted ${compactions} times` : ""}`,
    found: `${figures.events} events, ${figures.snapshots} of them snapshots: ${figures.inconsistent} inconsistent, ${figures.backwards} out of order, ${figures.invented} never written, ${figures.different} nodes different at the end`,
    bound: "0, 0, 0, 0",
    holds: wrong === 0 && proxy.cuts > 2 && figures.events > figures.snapshots,
  };
}

async function changeNodes(server: RegistryServer, changes: number) {
  const written = new Map<string, Set<number>>();
  const truth = new Map<string, number>();
  await using writer = await server.writer();
  const change = async (worker: number) => {
    for (let revision = 1; revision <= changes / 10; revision++) {
      // Each worker has nodes of its own, so that it knows which change was the last.
      const id = `n${worker * 3 + Math.floor(Math.random() * 3)}`;
      if (truth.has(id) && Math.random() < 0.3) {
        await writer.delete(id);
        truth.delete(id);
        continue;
      }
      written.set(id, (written.get(id) ?? new Set()).add(revision));
      await writer.put(id, revision);
      truth.set(id, revision);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, worker) => change(worker)));
  return { written, truth };
}
