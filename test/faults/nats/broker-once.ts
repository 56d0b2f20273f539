import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker, natsStore } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { startNats } from "../../../drivers/nats/test/server.ts";
import { FaultProxy } from "../../support/proxy.ts";
import { Publisher } from "../broker/publisher.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

const logger = silentLogger;

/**
 * The links of two members of a group are cut, so that acknowledgements are lost and events are
 * delivered again. A group that deduplicates handles each event once; one that does not shows that
 * the cuts take effect.
 */
export async function handledOnce(length: Length): Promise<Figure> {
  const [count, cuts] = length === "long" ? [100_000, 400] : [3_000, 24];
  await using server = await startNats();
  await using publishing = jetstreamBroker({ servers: server.url, timeoutMs: 10_000, logger });
  const publisher = new Publisher(publishing);
  const members = await Promise.all([1, 2].map(() => joinGroups(server.port)));
  const handled = (group: "once" | "again") => members.flatMap((member) => member[group]);
  try {
    const publication = publisher.publish(count, 20);
    for (let cut = 0; cut < cuts; cut++) {
      await sleep(50 + 150 * Math.random());
      members[cut % 2]?.proxy.cut();
    }
    await publication;
    const all = (group: "once" | "again") => new Set(handled(group)).size === count;
    await until(() => all("once") && all("again"), 60_000).catch(() => undefined);
    await until(() => members.every((member) => member.isIdle()), 30_000).catch(() => undefined);
    const once = checkDelivery(publisher, handled("once"));
    const again = checkDelivery(publisher, handled("again"));
    return {
      id: "B13",
      recipe: `${count} events to two members whose links are cut ${cuts} times, with deduplicate and without`,
      found: `with: ${once.lost} lost, ${once.unknown} unknown, ${once.duplicates} handled again; without: ${again.duplicates} handled again`,
      bound: "with: 0, 0, 0; without: more than 0 (the cuts take effect)",
      holds: once.lost + once.unknown + once.duplicates === 0 && again.duplicates > 0,
    };
  } finally {
    await Promise.all(members.map((member) => member.close()));
  }
}

/** A process with a link of its own, which handles all events in two groups. */
async function joinGroups(port: number) {
  const proxy = await FaultProxy.start(port);
  const servers = `nats://127.0.0.1:${proxy.port}`;
  const broker = jetstreamBroker({ servers, timeoutMs: 10_000, ackWaitMs: 2_000, logger });
  const store = natsStore({ servers });
  const [once, again]: [string[], string[]] = [[], []];
  const into = (ids: string[]) => async (event: { readonly id: string }) => {
    await sleep(5 * Math.random());
    ids.push(event.id);
  };
  const deduplicate = { store, ttlMs: 3_600_000 };
  const subscriptions = [
    await broker.subscribe("work", into(once), { queue: "once", deduplicate }),
    await broker.subscribe("work", into(again), { queue: "again" }),
  ];
  return {
    proxy,
    once,
    again,
    isIdle: () => subscriptions.every(({ stats }) => stats.inFlight + stats.pending === 0),
    async close() {
      await broker.close();
      await store.close();
      await proxy.close();
    },
  };
}
