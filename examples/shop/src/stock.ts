import { EventEmitter, on } from "node:events";
import { type CallContext, createService, type EventContext, MicroError } from "@micro-es/runtime";
import { shopAuth, shopEvents } from "./access.ts";
import {
  type ReservationInit,
  registerStockHandler,
  ShippedTopic,
  type StockHandler,
  type StockLevelInit,
} from "./gen/shop/v1/shop_micro.ts";
import type { OrderPlaced, ReserveRequest, WatchStockRequest } from "./gen/shop/v1/shop_pb.ts";

const service = createService({ name: "stock", auth: shopAuth(), events: shopEvents("stock") });

class Stock implements StockHandler {
  readonly #shelves = new Map([
    ["apples", 10],
    ["pears", 4],
  ]);
  readonly #reserved = new Set<string>();
  readonly #changes = new EventEmitter();

  reserve(request: ReserveRequest): ReservationInit {
    const { orderId, lines } = request;
    // The same order may be reserved again, if the response to its first request was lost.
    if (this.#reserved.has(orderId)) return { orderId };
    for (const { article, quantity } of lines) {
      const left = this.#shelves.get(article) ?? 0;
      if (left < quantity) {
        throw new MicroError(
          "failed_precondition",
          `only ${left} ${article} left, and ${quantity} ordered`,
        );
      }
    }
    for (const { article, quantity } of lines) {
      this.#shelves.set(article, (this.#shelves.get(article) ?? 0) - quantity);
      this.#changes.emit("change", article);
    }
    this.#reserved.add(orderId);
    return { orderId };
  }

  async *watch(request: WatchStockRequest, context: CallContext): AsyncIterable<StockLevelInit> {
    const changes = on(this.#changes, "change", { signal: context.signal });
    let sent = 0;
    const full = () => request.count > 0 && sent >= request.count;
    for (const [article, quantity] of this.#shelves) {
      if (full()) return;
      sent++;
      yield { article, quantity };
    }
    if (full()) return;
    for await (const [article] of changes) {
      sent++;
      yield { article, quantity: this.#shelves.get(article) ?? 0 };
      if (full()) return;
    }
  }

  async onOrderPlaced(placed: OrderPlaced, context: EventContext): Promise<void> {
    const { orderId, customer } = placed;
    await ShippedTopic.publish(service.broker, { orderId, customer }, { context });
  }
}

registerStockHandler(service.server, new Stock());
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
process.channel?.unref();
await service.run();
