import { setTimeout as sleep } from "node:timers/promises";
import type { Broker } from "@micro-es/runtime";
import { brokerAt } from "../broker/backend.ts";
import { Publisher } from "../broker/publisher.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { sharedServer, startFleet } from "./broker-server.ts";

/** RabbitMQ takes no publications while it is short of memory, and then does so again. */
export async function memoryShort(length: Length): Promise<Figure> {
  const times = length === "long" ? 20 : 1;
  const server = await sharedServer();
  const lines = [await lineOf(120_000), await lineOf(1_000)] as const;
  const [patient] = lines;
  const areAll = (state: Broker["state"]) => lines.every(({ broker }) => broker.state === state);
  try {
    let going = true;
    const publishing = lines.map(async ({ publisher }) => {
      while (going) {
        await publisher.publish(20, 20);
        await sleep(5);
      }
    });
    let [blocked, slowestMs] = [0, 0];
    for (let time = 0; time < times; time++) {
      await server.control("set_vm_memory_high_watermark", "absolute", "1MB");
      await until(() => areAll("degraded"), 20_000);
      const before = patient.publisher.acked.size;
      await sleep(2_000);
      if (patient.publisher.acked.size === before) blocked++;
      await server.control("set_vm_memory_high_watermark", "0.8");
      const isBack = () => areAll("healthy") && patient.publisher.acked.size > before;
      slowestMs = Math.max(slowestMs, await until(isBack, 20_000));
    }
    going = false;
    await Promise.all(publishing);
    await until(() => lines.every(({ check }) => check().lost === 0), 60_000);
    const figures = lines.map(({ check }) => check());
    const acked = figures.map((figure) => figure.acked);
    const wrong = figures.reduce((sum, each) => sum + each.lost + each.unknown, 0);
    const contradicted = figures.reduce((sum, each) => sum + each.contradicted, 0);
    const failed = lines.map(({ publisher }) => publisher.unsure.size + publisher.refused.size);
    return {
      id: "Q1",
      recipe: `events published while memory is short ${times} times, by a broker with a timeout of 120 s and one of 1 s`,
      found: `blocked ${blocked} times, back after ${Math.round(slowestMs)} ms at the latest; ${acked.join(" and ")} acked, ${failed.join(" and ")} reported as failed; ${wrong} lost or unknown, ${contradicted} contradicted`,
      bound: `${times}, at most 5000 ms; any, 0 and more than 0 (the fault takes effect); 0, 0`,
      holds:
        blocked === times &&
        slowestMs <= 5_000 &&
        failed[0] === 0 &&
        (failed[1] ?? 0) > 0 &&
        wrong + contradicted === 0,
    };
  } finally {
    await server.control("set_vm_memory_high_watermark", "0.8");
    for (const { broker } of lines) await broker.close();
  }
}

/** A publisher with a consumer of all its events. */
async function lineOf(timeoutMs: number) {
  const fleet = await startFleet();
  const broker = brokerAt(fleet.url, { timeoutMs });
  const publisher = new Publisher(broker, 200);
  const handled: string[] = [];
  await broker.subscribe("work", ({ id }) => void handled.push(id), { queue: "workers" });
  return { broker, publisher, check: () => checkDelivery(publisher, handled) };
}
