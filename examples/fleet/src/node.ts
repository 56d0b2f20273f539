import { createService } from "@micro-es/runtime";
import { nats } from "@micro-es/runtime/nats";
import {
  registerMailHandler,
  registerOrdersHandler,
  registerStockHandler,
} from "../../shop/src/gen/shop/v1/shop_micro.ts";
import { Shop } from "./shop.ts";

const name = process.env.NODE_NAME ?? "node";
// MICRO_NATS_URL says where the servers are.
const service = createService({
  name: "shop",
  ...nats({ ackWaitMs: 3_000 }),
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

/** One node of the fleet at a time is responsible for the inventory; another takes over when it is gone. */
async function takeInventory(): Promise<void> {
  try {
    const leadership = await service.sync.lead("inventory", { candidate: name, ttlMs: 1_500 });
    process.send?.({ leads: name, epoch: Number(leadership.epoch) });
  } catch {
    // The service has stopped while it waited.
  }
}
