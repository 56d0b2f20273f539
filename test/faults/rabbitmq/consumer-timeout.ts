import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { startRabbitMq } from "../../../drivers/rabbitmq/test/server.ts";
import { recordingLogger } from "../../support/server.ts";
import { Publisher } from "../broker/publisher.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

/**
 * A handler takes longer than RabbitMQ allows, which then delivers all events of the member again.
 * The late end of a handling must count, and the other events must not be lost.
 */
export async function handlersTimeOut(length: Length): Promise<Figure> {
  const [times, count] = length === "long" ? [20, 200] : [2, 50];
  await using server = await startRabbitMq({
    settings: ["consumer_timeout = 1000"],
    // RabbitMQ looks once a minute otherwise.
    advanced: "[{rabbit, [{channel_tick_interval, 500}]}].",
  });
  const logger = recordingLogger();
  await using broker = rabbitmqBroker({ servers: server.address, timeoutMs: 30_000, logger });
  const publisher = new Publisher(broker);
  const handled: string[] = [];
  let isNextHeld = false;
  let end: (() => void) | undefined;
  const handler = async ({ id }: { readonly id: string }) => {
    if (isNextHeld) {
      isNextHeld = false;
      await new Promise<void>((resolve) => {
        end = resolve;
      });
    }
    handled.push(id);
  };
  await broker.subscribe("work", handler, { queue: "workers", maxInFlight: 8 });
  const timeouts = () => logger.lines.filter(({ message }) => message.includes("consumer_timeout"));
  let timedOut = 0;
  for (let time = 0; time < times; time++) {
    isNextHeld = true;
    const before = timeouts().length;
    const publishing = publisher.publish(count, 10);
    await until(() => timeouts().length > before, 20_000);
    await publishing;
    if (timeouts().length > before) timedOut++;
    end?.();
    await until(() => checkDelivery(publisher, handled).lost === 0, 10_000);
  }
  const { acked, lost, unknown, duplicates } = checkDelivery(publisher, handled);
  return {
    id: "Q3",
    recipe: `${times * count} events to one member, ${times} of which take longer than consumer_timeout`,
    found: `${timedOut} channels closed, ${acked} acked, ${lost} lost, ${unknown} unknown, ${duplicates} handled twice`,
    bound: `${times} (it takes effect), all, 0, 0, 0`,
    holds: timedOut === times && acked === times * count && lost + unknown + duplicates === 0,
  };
}
