import { createService } from "@micro-es/runtime";
import { shopAuth, shopEvents } from "./access.ts";
import {
  type MailHandler,
  registerMailHandler,
  type SentResponseInit,
} from "./gen/shop/v1/shop_micro.ts";
import type { OrderPlaced, SentRequest, Shipped } from "./gen/shop/v1/shop_pb.ts";

const service = createService({ name: "mail", auth: shopAuth(), events: shopEvents() });

class Mail implements MailHandler {
  readonly #sent = new Map<string, string[]>();

  sent(request: SentRequest): SentResponseInit {
    return { subjects: this.#sent.get(request.customer) ?? [] };
  }

  onOrderPlaced(placed: OrderPlaced): void {
    const goods = placed.lines
      .map(({ article, quantity }) => `${quantity} ${article}`)
      .join(" and ");
    this.#write(placed.customer, `Thank you for ordering ${goods}`);
  }

  onShipped(shipped: Shipped): void {
    this.#write(shipped.customer, "Your order is on its way");
  }

  #write(customer: string, subject: string): void {
    this.#sent.set(customer, [...(this.#sent.get(customer) ?? []), subject]);
  }
}

registerMailHandler(service.server, new Mail());
service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
});
process.channel?.unref();
await service.run();
