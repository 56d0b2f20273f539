import { brokerAt } from "../broker/backend.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { sharedServer, startFleet, withTools } from "./broker-server.ts";

const markers = 20;
const group = { queue: "workers" };

/** The queue of a group is deleted under its members; they must have one again soon. */
export async function queuesDeleted(length: Length): Promise<Figure> {
  const times = length === "long" ? 50 : 5;
  const server = await sharedServer();
  await using fleet = await startFleet();
  const brokers = [brokerAt(fleet.url), brokerAt(fleet.url)] as const;
  const [publisher] = brokers;
  const handled: string[] = [];
  const publish = (id: string) =>
    publisher.publish("work", {
      id,
      body: Buffer.from(id),
      contentType: "text/plain",
      typeName: "",
    });
  try {
    for (const broker of brokers) {
      await broker.subscribe("work", ({ id }) => void handled.push(id), group);
    }
    let [slowestMs, wrong] = [0, 0];
    for (let time = 0; time < times; time++) {
      await withTools(server, (tools) => tools.deleteQueue(fleet.queueOf(group.queue)));
      let asked = 0;
      const isBack = async () => {
        await publish(`${time}-asked-${asked++}`);
        return handled.some((id) => id.startsWith(`${time}-asked`));
      };
      slowestMs = Math.max(slowestMs, await until(isBack, 20_000));
      const ids = Array.from({ length: markers }, (_, index) => `${time}-${index}`);
      for (const id of ids) await publish(id);
      await until(() => ids.every((id) => handled.includes(id)), 10_000);
      wrong += ids.filter((id) => handled.filter((each) => each === id).length !== 1).length;
    }
    return {
      id: "Q2",
      recipe: `the queue of a group of two deleted ${times} times`,
      found: `receiving again ${Math.round(slowestMs)} ms after it at the latest, ${wrong} of ${times * markers} events after that not delivered exactly once`,
      bound: "at most 5000 ms, 0",
      holds: slowestMs <= 5_000 && wrong === 0,
    };
  } finally {
    for (const broker of brokers) await broker.close();
  }
}
