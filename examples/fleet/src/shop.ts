import { randomUUID } from "node:crypto";
import { type CallContext, type EventContext, MicroError, type Service } from "@micro-es/runtime";
import {
  createStockClient,
  type MailHandler,
  type OrderInit,
  OrderPlacedTopic,
  type OrdersHandler,
  type ReservationInit,
  type SentResponseInit,
  ShippedTopic,
  type StockClient,
  type StockHandler,
  type StockLevelInit,
} from "../../shop/src/gen/shop/v1/shop_micro.ts";
import {
  type GetOrderRequest,
  type OrderPlaced,
  OrderState,
  type PlaceRequest,
  type ReserveRequest,
  type SentRequest,
  type Shipped,
} from "../../shop/src/gen/shop/v1/shop_pb.ts";
import { changeRecord, readRecord, writeRecord } from "./records.ts";

/** Articles on the shelves, and the orders that articles were reserved for. */
export interface Shelves {
  readonly left: Readonly<Record<string, number>>;
  readonly reserved: readonly string[];
}

/** The initial stock, enough for all orders. */
export const delivered: Shelves = { left: { apples: 10_000, pears: 10_000 }, reserved: [] };

interface OrderRecord {
  readonly id: string;
  readonly customer: string;
  readonly lines: readonly { readonly article: string; readonly quantity: number }[];
  readonly state: OrderState;
}

/** The handlers of a node. All state is in the store, so nodes can continue each other's work. */
export class Shop implements OrdersHandler, StockHandler, MailHandler {
  readonly #service: Service;
  readonly #stock: StockClient;

  constructor(service: Service) {
    this.#service = service;
    this.#stock = createStockClient(service.client);
  }

  async place(request: PlaceRequest, context: CallContext): Promise<OrderInit> {
    const { customer } = request;
    const lines = request.lines.map(({ article, quantity }) => ({ article, quantity }));
    const id = randomUUID();
    await this.#stock.reserve({ orderId: id, lines }, context);
    const order: OrderRecord = { id, customer, lines, state: OrderState.PLACED };
    await writeRecord(this.#service.store, `orders/${id}`, order);
    await OrderPlacedTopic.publish(
      this.#service.broker,
      { orderId: id, customer, lines },
      { context, id },
    );
    return { ...order, lines };
  }

  async get({ id }: GetOrderRequest): Promise<OrderInit> {
    const order = await readRecord<OrderRecord>(this.#service.store, `orders/${id}`);
    if (order === undefined) throw new MicroError("not_found", `there is no order ${id}`);
    return { ...order, lines: [...order.lines] };
  }

  async reserve({ orderId, lines }: ReserveRequest): Promise<ReservationInit> {
    await changeRecord<Shelves>(this.#service.store, "shelves", (shelves = delivered) => {
      // The same order may be reserved again, if the response to its first request was lost.
      if (shelves.reserved.includes(orderId)) return undefined;
      const left = { ...shelves.left };
      for (const { article, quantity } of lines) {
        if ((left[article] ?? 0) < quantity) {
          throw new MicroError("failed_precondition", `only ${left[article] ?? 0} ${article} left`);
        }
        left[article] = (left[article] ?? 0) - quantity;
      }
      return { left, reserved: [...shelves.reserved, orderId] };
    });
    return { orderId };
  }

  async *watch(): AsyncIterable<StockLevelInit> {
    const shelves = (await readRecord<Shelves>(this.#service.store, "shelves")) ?? delivered;
    for (const [article, quantity] of Object.entries(shelves.left)) yield { article, quantity };
  }

  async sent({ customer }: SentRequest): Promise<SentResponseInit> {
    const subjects: string[] = [];
    for await (const { value } of this.#service.store.list({ prefix: `mail/${customer}/` })) {
      subjects.push(new TextDecoder().decode(value));
    }
    return { subjects };
  }

  /** Stock ships and mail thanks; each of the two handles an event once, on any node. */
  async onOrderPlaced({ orderId, customer }: OrderPlaced, context: EventContext): Promise<void> {
    await this.#write(customer, orderId, "thanks", "Thank you for your order");
    // With the same id, an event that is published again counts as the same event.
    const options = { context, id: orderId };
    await ShippedTopic.publish(this.#service.broker, { orderId, customer }, options);
  }

  async onShipped({ orderId, customer }: Shipped): Promise<void> {
    await changeRecord<OrderRecord>(this.#service.store, `orders/${orderId}`, (order) =>
      order === undefined ? undefined : { ...order, state: OrderState.SHIPPED },
    );
    await this.#write(customer, orderId, "shipped", "Your order is on its way");
  }

  /** The key is unique to the event, so that an event that arrives twice writes one letter. */
  async #write(customer: string, order: string, kind: string, subject: string): Promise<void> {
    const key = `mail/${customer}/${order}/${kind}`;
    await this.#service.store.write(key, new TextEncoder().encode(`${subject}: ${order}`));
  }
}
