import { createService } from "@micro-es/runtime";
import { shopAuth, tokenOf } from "../../shop/src/access.ts";
import {
  registerMailHandler,
  registerOrdersHandler,
  registerStockHandler,
} from "../../shop/src/gen/shop/v1/shop_micro.ts";
import { drivers } from "./drivers.ts";
import { Shop } from "./shop.ts";

const name = process.env.NODE_NAME ?? "node";
// MICRO_BACKEND=nats://… puts everything but the calls on NATS, and MICRO_BROKER events elsewhere.
const service = createService({
  name: "shop",
  auth: shopAuth(),
  credentials: tokenOf("orders"),
  drivers,
  require: { broker: { delivery: "at-least-once" }, store: { sharing: "backend" } },
});
const shop = new Shop(service);
registerOrdersHandler(service.server, shop);
registerStockHandler(service.server, shop);
registerMailHandler(service.server, shop);

service.onReady(() => {
  process.send?.({ ready: service.server.addresses });
  void takeInventory();
});
process.channel?.unref();
await service.run();

/** One node at a time is responsible for the inventory; another one takes over when it dies. */
async function takeInventory(): Promise<void> {
  try {
    const leadership = await service.sync.lead("inventory", { candidate: name, ttlMs: 1_500 });
    process.send?.({ leads: name, epoch: Number(leadership.epoch) });
  } catch {
    // The service stopped while it waited.
  }
}
