import { natsRegistry } from "@micro-es/runtime/registry/nats";
import { connect } from "nats";
import { startNats } from "../../nats/server.ts";
import { checkWatch, type WatchEvent } from "../check-watch.ts";
import type { Figure, Length } from "../figure.ts";
import { FaultProxy } from "../proxy.ts";
import { until } from "../until.ts";

/** A service's nodes change all the time, and the watcher's link is cut again and again. */
export async function watchCut(length: Length): Promise<Figure> {
  const [changes, cutEveryMs] = length === "long" ? [100_000, 1_000] : [15_000, 250];
  await using server = await startNats();
  await using proxy = await FaultProxy.start(server.port);
  await using registry = natsRegistry({ servers: `nats://127.0.0.1:${proxy.port}` });
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
  const { written, truth } = await changeNodes(server.url, changes);
  clearInterval(cutting);
  const same = async () => {
    const nodes = await registry.get("work");
    return (
      nodes.length === truth.size &&
      nodes.every(({ id, metadata }) => truth.get(id) === Number(metadata.revision))
    );
  };
  await until(same, 20_000);
  // The watcher's queue is behind what `get` says by a turn of the event loop.
  await until(() => checkWatch(events, written, truth).different === 0, 2_000, 50);
  ending.abort();
  await watching;
  const figures = checkWatch(events, written, truth);
  const wrong = figures.inconsistent + figures.backwards + figures.invented + figures.different;
  return {
    id: "D6",
    recipe: `${changes} changes of 30 nodes, the watcher's link cut ${proxy.cuts} times`,
    found: `${figures.events} events, ${figures.snapshots} of them snapshots: ${figures.inconsistent} inconsistent, ${figures.backwards} back in time, ${figures.invented} of what never was, ${figures.different} nodes differ in the end`,
    bound: "0, 0, 0, 0",
    holds: wrong === 0 && proxy.cuts > 2 && figures.events > figures.snapshots,
  };
}

/** Writes records of nodes with NATS' own library, many times as fast as processes could register. */
async function changeNodes(servers: string, changes: number) {
  const written = new Map<string, Set<number>>();
  const truth = new Map<string, number>();
  const connection = await connect({ servers });
  const bucket = await connection.jetstream().views.kv("micro-registry", { bindOnly: true });
  const change = async (worker: number) => {
    for (let revision = 1; revision <= changes / 10; revision++) {
      // Each worker has nodes of its own, so that it knows which change was the last.
      const id = `n${worker * 3 + Math.floor(Math.random() * 3)}`;
      if (truth.has(id) && Math.random() < 0.3) {
        await bucket.delete(`work.${id}`);
        truth.delete(id);
        continue;
      }
      const node = {
        id,
        service: "work",
        version: "1",
        address: "127.0.0.1:9",
        metadata: { revision: `${revision}` },
        endpoints: [],
      };
      written.set(id, (written.get(id) ?? new Set()).add(revision));
      await bucket.put(`work.${id}`, JSON.stringify({ node, ttlMs: 600_000, owner: "test" }));
      truth.set(id, revision);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, worker) => change(worker)));
  await connection.close();
  return { written, truth };
}
