import { randomUUID } from "node:crypto";
import { type CallContext, createService, type EventContext, MicroError } from "@micro-es/runtime";
import { shopAuth, shopEvents, tokenOf } from "./access.ts";
import {
  createStockClient,
  type OrderInit,
  OrderPlacedTopic,
  type OrdersHandler,
  registerOrdersHandler,
} from "./gen/shop/v1/shop_micro.ts";
import {
  type GetOrderRequest,
  OrderState,
  type PlaceRequest,
  type Shipped,
} from "./gen/shop/v1/shop_pb.ts";

const service = createService({
  name: "orders",
  auth: shopAuth(),
  events: shopEvents("orders"),
  credentials: tokenOf("orders"),
});
const stock = createStockClient(service.client);

class Orders implements OrdersHandler {
  readonly #orders = new Map<string, OrderInit & { state: OrderState }>();

  async place(request: PlaceRequest, context: CallContext): Promise<OrderInit> {
    const { customer, lines } = request;
    if (lines.length === 0)
      throw new MicroError("invalid_argument", "an order needs at least one line");
    const id = randomUUID();
    // Passing the context on lets stock know when the customer stops waiting.
    await stock.reserve({ orderId: id, lines }, context);
    const order = { id, customer, lines, state: OrderState.PLACED };
    this.#orders.set(id, order);
    await OrderPlacedTopic.publish(service.broker, { orderId: id, customer, lines }, { context });
    return order;
  }

  get(request: GetOrderRequest): OrderInit {
    const order = this.#orders.get(request.id);
    if (order === undefined) throw new MicroError("not_found", `there is no order ${request.id}`);
    return order;
  }

  onShipped(shipped: Shipped, _context: EventContext): void {
    const order = this.#orders.get(shipped.orderId);
    if (order !== undefined) order.state = OrderState.SHIPPED;
  }
}

registerOrdersHandler(service.server, new Orders());
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
process.channel?.unref();
await service.run();
