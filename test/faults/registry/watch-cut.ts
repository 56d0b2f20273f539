import { FaultProxy } from "../../support/proxy.ts";
import { checkWatch } from "../check-watch.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { StartRegistryServer } from "./backend.ts";
import { changeNodes, knows, WatchedNodes } from "./changing-nodes.ts";

/** A service's nodes change constantly, and the watcher's link is cut repeatedly. */
export async function watchCut(startServer: StartRegistryServer, length: Length): Promise<Figure> {
  const [changes, cutEveryMs] = length === "long" ? [100_000, 1_000] : [6_000, 250];
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.port);
  await using registry = server.connect(proxy.port);
  await until(() => registry.get("work").then(() => true), 60_000, 50);
  const watched = new WatchedNodes(registry);
  const cutting = setInterval(() => proxy.cut(), cutEveryMs);
  const made = await changeNodes(server, changes);
  clearInterval(cutting);
  await until(() => knows(registry, made), 20_000);
  const figuresNow = () => checkWatch(watched.events, made.written, made.truth);
  // The watcher's queue is behind the result of `get` by a turn of the event loop.
  await until(() => figuresNow().different === 0, 2_000, 50);
  await watched.end();
  const figures = figuresNow();
  const wrong = figures.inconsistent + figures.backwards + figures.invented + figures.different;
  return {
    id: "D6",
    recipe: `${changes} changes of 30 nodes, the watcher's link cut ${proxy.cuts} times`,
    found: `${figures.events} events, ${figures.snapshots} of them snapshots: ${figures.inconsistent} inconsistent, ${figures.backwards} out of order, ${figures.invented} never written, ${figures.different} nodes different at the end`,
    bound: "0, 0, 0, 0",
    holds: wrong === 0 && proxy.cuts > 2 && figures.events > figures.snapshots,
  };
}
