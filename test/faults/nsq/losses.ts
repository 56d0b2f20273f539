import { nsqBroker } from "@micro-es/nsq";
import { silentLogger } from "@micro-es/runtime";
import { startNsqd } from "../../../drivers/nsq/test/server.ts";
import { Publisher } from "../broker/publisher.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

/**
 * What NSQ loses: an nsqd that is killed loses every event that it had confirmed and that no
 * handler had finished, and one that is stopped gently loses none.
 */
export async function serverEnded(length: Length): Promise<Figure> {
  const count = length === "long" ? 100_000 : 2_000;
  const found = { kill: await afterEnd("kill", count), stop: await afterEnd("stop", count) };
  const say = ({ acked, handled, left }: (typeof found)["kill"]) =>
    `${acked} acked, ${handled} handled before and ${left} after it`;
  const { kill, stop } = found;
  const bothBegan = kill.handled > 0 && stop.handled > 0;
  return {
    id: "N1",
    recipe: `${count} events on an nsqd that ends while the first are handled, killed or stopped`,
    found: `killed: ${say(kill)}; stopped: ${say(stop)}`,
    bound: "killed: some handled before, 0 after it (durability none); stopped: 0 lost",
    holds: bothBegan && kill.left === 0 && stop.handled + stop.left >= stop.acked,
  };
}

async function afterEnd(how: "kill" | "stop", count: number) {
  await using server = await startNsqd({ memQueueSize: 2 * count });
  const options = { servers: server.address, logger: silentLogger, ackWaitMs: 1_000 };
  await using broker = nsqBroker({ ...options, closeGraceMs: 0 });
  const publisher = new Publisher(broker);
  const before = new Set<string>();
  const after = new Set<string>();
  let hasEnded = false;
  const handler = ({ id }: { readonly id: string }) => {
    if (hasEnded) after.add(id);
    else if (before.size < 100) before.add(id);
    // The others are in flight when it ends.
    else return new Promise<void>(() => {});
    return undefined;
  };
  const queue = { queue: "workers" };
  const subscription = await broker.subscribe("work", handler, queue);
  await publisher.publish(count, 100);
  await until(() => before.size === 100 && subscription.stats.inFlight > 0, 20_000);
  hasEnded = true;
  await server[how]();
  // It would hold its events on.
  await broker.close();
  await server.start();
  await using later = nsqBroker(options);
  await later.subscribe("work", handler, queue);
  await until(
    () => before.size + after.size >= publisher.acked.size,
    how === "kill" ? 3_000 : 20_000,
  );
  return { acked: publisher.acked.size, handled: before.size, left: after.size };
}
