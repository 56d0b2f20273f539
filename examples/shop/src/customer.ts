import { createClient, MicroError } from "@micro-es/runtime";
import { until } from "../../support/processes.ts";
import { tokenOf } from "./access.ts";
import {
  createMailClient,
  createOrdersClient,
  createStockClient,
} from "./gen/shop/v1/shop_micro.ts";
import { OrderState } from "./gen/shop/v1/shop_pb.ts";

await using client = createClient({ credentials: tokenOf("customer") });
const orders = createOrdersClient(client);
const stock = createStockClient(client);
const mail = createMailClient(client);
const customer = "Ada";

const order = await orders.place({
  customer,
  lines: [
    { article: "apples", quantity: 3 },
    { article: "pears", quantity: 1 },
  ],
});
console.log(`  ordered 3 apples and 1 pears`);

await until(
  "the order's state",
  async () => (await orders.get({ id: order.id })).state,
  (state) => state === OrderState.SHIPPED,
);
console.log("  stock received the order and shipped it; orders received the shipment");

const { subjects } = await until(
  "mail to the customer",
  () => mail.sent({ customer }),
  (sent) => sent.subjects.length >= 2,
);
for (const subject of subjects.toSorted()) console.log(`  mail to ${customer}: ${subject}`);

const levels: string[] = [];
for await (const { article, quantity } of stock.watch({ count: 2 }))
  levels.push(`${quantity} ${article}`);
console.log(`  left in stock: ${levels.join(", ")}`);

try {
  await orders.place({ customer, lines: [{ article: "pears", quantity: 100 }] });
  throw new Error("an order of 100 pears was accepted");
} catch (error) {
  if (!(error instanceof MicroError) || error.code !== "failed_precondition") throw error;
  console.log(`  100 pears were refused all the way from stock through orders: ${error.message}`);
}

await using stranger = createClient();
try {
  await createOrdersClient(stranger).place({ customer: "Eve", lines: [] });
  throw new Error("an order without a token was accepted");
} catch (error) {
  if (!(error instanceof MicroError) || error.code !== "unauthenticated") throw error;
  console.log("  an order without a token was refused");
}
