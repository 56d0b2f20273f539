import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { connect } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import { Publisher } from "../broker/publisher.ts";
import { checkAttempts } from "../check-attempts.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

/** One event in a hundred always fails, and at first dead letters cannot be stored. */
export async function poisonBuried(length: Length): Promise<Figure> {
  const [count, downMs] = length === "long" ? [10_000, 10_000] : [2_000, 4_000];
  const maxDeliveries = 4;
  await using server = await startNats();
  const tools = await connect({ servers: server.url });
  const manager = await tools.jetstreamManager();
  await manager.streams.add({ name: "micro-events", subjects: ["micro.events.work.*"] });
  // A short timeout, so that publishing a dead letter fails often while they are down.
  await using broker = jetstreamBroker({
    servers: server.url,
    timeoutMs: 500,
    logger: silentLogger,
  });
  const isPoison = (id: string) => Number(id.slice(1)) % 100 === 7;
  const [tried, buried]: [string[], string[]] = [[], []];
  const handler = ({ id }: { readonly id: string }) => {
    tried.push(id);
    if (isPoison(id)) throw new Error("poison");
  };
  const options = { deadLetter: "dead", maxDeliveries, redeliveryBackoffMs: 20 };
  await broker.subscribe("work", handler, { queue: "workers", ...options });
  await using other = jetstreamBroker({
    servers: server.url,
    timeoutMs: 60_000,
    logger: silentLogger,
  });
  const publisher = new Publisher(other);
  await publisher.publish(count, 50);
  const ids = [...publisher.acked];
  const poison = new Set(ids.filter(isPoison));
  const good = new Set(ids.filter((id) => !isPoison(id)));
  await sleep(downMs);
  await manager.streams.update("micro-events", { subjects: ["micro.events.>"] });
  await broker.subscribe("dead", ({ id }) => void buried.push(id), { queue: "q", from: "first" });
  await until(() => buried.length >= poison.size, 60_000);
  await sleep(500);
  await tools.close();
  const wrong = checkAttempts(poison, good, maxDeliveries, tried, buried);
  return {
    id: "B6",
    recipe: `${count} events of which ${poison.size} always fail, dead letters refused for ${downMs / 1_000} s`,
    found: `${wrong.wronglyTried} poison events not tried exactly ${maxDeliveries} times, ${wrong.wronglyBuried} not among the dead letters exactly once, ${wrong.wronglyHandled} others not handled exactly once`,
    bound: "0, 0, 0",
    holds:
      ids.length === count && wrong.wronglyTried + wrong.wronglyBuried + wrong.wronglyHandled === 0,
  };
}
