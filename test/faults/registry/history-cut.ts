import { setTimeout as sleep } from "node:timers/promises";
import type { Registry } from "@micro-es/runtime";
import { FaultProxy } from "../../support/proxy.ts";
import { checkWatch } from "../check-watch.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { StartRegistryServer } from "./backend.ts";
import { changeNodes, knows, WatchedNodes } from "./changing-nodes.ts";

/** Of each, the history of changes is cut as well. */
const cutsPerHistory = 5;

/**
 * A service's nodes change constantly; the watcher's link is cut, and at every fifth time what its
 * watch would continue with. Where there are several servers, each cut moves it to the next one.
 * @param flaw changes the watcher's registry, to prove that this is noticed.
 */
export async function historyCut(
  startServer: StartRegistryServer,
  length: Length,
  flaw: (registry: Registry) => Registry = (registry) => registry,
): Promise<Figure> {
  const [changes, cutEveryMs] = length === "long" ? [100_000, 1_000] : [600, 200];
  await using server = await startServer();
  const proxies = await Promise.all(
    (server.ports ?? [server.port]).map((port) => FaultProxy.start(port)),
  );
  await using registry = server.connect(...proxies.map(({ port }) => port));
  let [histories, over] = [0, false];
  const cutAll = async () => {
    for (let turn = 1; !over; turn++) {
      await sleep(cutEveryMs);
      const isHistory = turn % cutsPerHistory === 0;
      for (const proxy of proxies) {
        proxy.refuse(isHistory);
        proxy.cut();
      }
      if (!isHistory) continue;
      // Changes that the watcher misses.
      await sleep(cutEveryMs);
      await server.cutHistory?.();
      histories++;
      for (const proxy of proxies) proxy.refuse(false);
    }
  };
  try {
    await until(() => registry.get("work").then(() => true), 60_000, 50);
    const watched = new WatchedNodes(flaw(registry));
    const cutting = cutAll();
    const made = await changeNodes(server, changes, () => histories > 1);
    over = true;
    await cutting;
    await until(() => knows(registry, made), 20_000);
    const figuresNow = () => checkWatch(watched.events, made.written, made.truth);
    await until(() => figuresNow().different === 0, 2_000, 50);
    await watched.end();
    const figures = figuresNow();
    const cuts = proxies.reduce((sum, proxy) => sum + proxy.cuts, 0);
    const used = proxies.filter(({ accepted }) => accepted > 0).length;
    const { cutHistory, howHistoryIsCut = "all servers refuse the watcher" } = server;
    const wrong = figures.inconsistent + figures.backwards + figures.invented + figures.different;
    return {
      id: "W1",
      recipe: `${[...made.written.values()].reduce((sum, { size }) => sum + size, 0)} revisions of 30 nodes, the watcher's link cut ${cuts} times; ${howHistoryIsCut} ${histories} times`,
      found: `${figures.events} events by ${used} of ${proxies.length} servers, ${figures.snapshots} of them snapshots: ${figures.inconsistent} inconsistent, ${figures.backwards} back in time, ${figures.invented} never written, ${figures.different} nodes different at the end`,
      bound: `all servers, more than 1 snapshot (the cuts take effect); 0, 0, 0, 0`,
      holds:
        wrong === 0 &&
        histories > 1 &&
        figures.snapshots > 1 &&
        used === proxies.length &&
        (cutHistory !== undefined || proxies.length > 1),
    };
  } finally {
    over = true;
    for (const proxy of proxies) await proxy.close();
  }
}
