import {
  type Broker,
  createClient,
  createServer,
  memoryRegistry,
  silentLogger,
} from "@micro-es/runtime";
import { Arrivals } from "./arrivals.ts";
import type { BenchCaller, BenchServer } from "./contender.ts";
import {
  createPublisherServiceClient,
  MessageTopic,
  registerPublisherServiceHandler,
} from "./gen/micro/bench/v1/bench_micro.ts";

/** Events in flight per publisher, as for a publisher that awaits from time to time. */
const window = 128;

/** Publishes events of a generated topic, each with default options. */
export async function publishAll(
  broker: Broker,
  payload: Uint8Array,
  number: number,
): Promise<void> {
  for (let sent = 0; sent < number; sent += window) {
    const batch = Array.from({ length: Math.min(window, number - sent) }, () =>
      MessageTopic.publish(broker, { payload }),
    );
    await Promise.all(batch);
  }
}

/** A process that publishes on a broker on request. */
export async function servePublisher(broker: Broker): Promise<BenchServer> {
  const server = createServer({
    name: "publisher",
    registry: memoryRegistry(),
    broker,
    address: "127.0.0.1:0",
    logger: silentLogger,
  });
  registerPublisherServiceHandler(server, {
    async publish({ payload, number }) {
      await publishAll(broker, payload, number);
      return {};
    },
  });
  await server.start();
  return {
    address: server.addresses[0] ?? "",
    async close() {
      await server.close();
      await broker.close();
    },
  };
}

/** A process that subscribes, and makes the other one publish. */
export async function subscribeTo(broker: Broker, address: string): Promise<BenchCaller> {
  const arrivals = new Arrivals();
  const client = createClient({ registry: memoryRegistry() });
  const publisher = createPublisherServiceClient(client);
  const heard = new Promise<void>((resolve) => {
    arrivals.onFirst = resolve;
  });
  await MessageTopic.subscribe(broker, arrivals.came);
  const publish = (payload: Uint8Array, number: number) =>
    publisher.publish({ payload, number }, { address });
  // Until the publisher has found this subscriber, its events are lost.
  const asking = setInterval(() => void publish(new Uint8Array(0), 1), 100);
  await heard;
  clearInterval(asking);
  await new Promise((resolve) => setTimeout(resolve, 300));
  return {
    async publish(payload, count) {
      const all = arrivals.expect(count);
      await publish(payload, count);
      return all;
    },
    async close() {
      await client.close();
      await broker.close();
    },
  };
}
