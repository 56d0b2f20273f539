import { setTimeout as sleep } from "node:timers/promises";
import type { Registry } from "@micro-es/runtime";
import { FaultProxy } from "../../support/proxy.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import type { StartRegistryServer } from "./backend.ts";
import { WatchedNodes } from "./changing-nodes.ts";

/** What a busy machine may add. */
const busyMs = 4_000;

/**
 * The connections of watchers stay open and carry nothing, while a node changes.
 * @param flaw changes the watchers' registries, to prove that this is noticed.
 */
export async function watchHalfOpen(
  startServer: StartRegistryServer,
  length: Length,
  flaw: (registry: Registry) => Registry = (registry) => registry,
): Promise<Figure> {
  const watchers = length === "long" ? 20 : 4;
  await using server = await startServer();
  const boundMs = server.noticesWithinMs ?? 0;
  await using writer = await server.writer();
  await writer.put("n", 1);
  let [slowest, swallowed] = [0, 0];
  const freeze = async (at: number) => {
    await using proxy = await FaultProxy.start(server.port);
    await using registry = server.connect(proxy.port);
    const watched = new WatchedNodes(flaw(registry));
    await until(() => watched.events.length > 0, 20_000);
    // At any moment between two heartbeats.
    await sleep((boundMs / watchers) * at);
    proxy.freeze();
    const frozenAt = performance.now();
    await writer.put("n", at + 2);
    const knowsIt = () =>
      watched.events.some((event) =>
        event.type === "snapshot"
          ? (event.items.get("n") ?? 0) >= at + 2
          : event.revision >= at + 2,
      );
    const noticed = await until(knowsIt, 2 * boundMs + busyMs);
    slowest = Math.max(slowest, Number.isFinite(noticed) ? performance.now() - frozenAt : noticed);
    swallowed += proxy.swallowed;
    await watched.end();
  };
  await Promise.all(Array.from({ length: watchers }, (_, at) => freeze(at)));
  return {
    id: "W2",
    recipe: `the connections of ${watchers} watchers open and silent while a node changes`,
    found: `the change known after ${Math.round(slowest)} ms at most, ${swallowed} bytes swallowed`,
    bound: `${Math.round(boundMs)} ms (and ${busyMs} ms for a busy machine), more than 0`,
    holds: slowest <= boundMs + busyMs && swallowed > 0,
  };
}
