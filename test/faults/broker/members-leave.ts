import { setTimeout as sleep } from "node:timers/promises";
import type { Broker } from "@micro-es/runtime";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { brokerAt, type StartBrokerServer } from "./backend.ts";
import { Publisher } from "./publisher.ts";

/**
 * A member joins its group and leaves it repeatedly while events arrive.
 * @param others further brokers on the server.
 * @param takesMs how long a member waits for its first event.
 * @param shortTimes how often it leaves in the short form.
 */
export async function membersLeave(
  startServer: StartBrokerServer,
  length: Length,
  others: readonly ((url: string) => Broker)[] = [],
  shortTimes: number = 100,
  takesMs: number = 20,
): Promise<Figure> {
  const times = length === "long" ? 1_000 : shortTimes;
  await using server = await startServer();
  const figures: Awaited<ReturnType<typeof comeAndGo>>[] = [];
  for (const make of [(url: string) => brokerAt(url, { ackWaitMs: 3_000 }), ...others]) {
    await using stays = make(server.url);
    await using leaves = make(server.url);
    figures.push(await comeAndGo(stays, leaves, times, takesMs));
  }
  const sum = (of: (figure: (typeof figures)[number]) => number) =>
    figures.map(of).reduce((a, b) => a + b);
  const late = sum((figure) => figure.late);
  const lost = sum((figure) => figure.lost);
  const taken = sum((figure) => figure.taken);
  return {
    id: "B8",
    recipe: `a member of a group leaves ${times} times on each of ${figures.length} brokers, ${sum((figure) => figure.acked)} events`,
    found: `${late} handled after it had left, ${figures.map((figure) => figure.lost).join(" and ")} lost, ${taken} handled by it`,
    bound: "0 after, 0 lost, more than 0 by it",
    holds: late + lost === 0 && taken > 0,
  };
}

async function comeAndGo(stays: Broker, leaves: Broker, times: number, takesMs: number) {
  const handled: string[] = [];
  const queue = { queue: "workers" };
  await stays.subscribe("work", ({ id }) => void handled.push(id), queue);
  const publisher = new Publisher(stays);
  let going = true;
  const publishing = (async () => {
    while (going) {
      await publisher.publish(20, 5);
      await sleep(2);
    }
  })();
  let [late, taken] = [0, 0];
  for (let time = 0; time < times; time++) {
    let left = false;
    const before = taken;
    const member = await leaves.subscribe(
      "work",
      ({ id }) => {
        if (left) late++;
        taken++;
        handled.push(id);
      },
      queue,
    );
    await until(() => taken > before, takesMs, 2);
    await member.close();
    left = true;
  }
  going = false;
  await publishing;
  await until(() => new Set(handled).size >= publisher.acked.size, 20_000);
  return { ...checkDelivery(publisher, handled), late, taken };
}
