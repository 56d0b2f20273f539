import { createClient, MicroError } from "@micro-es/runtime";
import { tokenOf } from "../../shop/src/access.ts";
import {
  createMailClient,
  createOrdersClient,
  createStockClient,
} from "../../shop/src/gen/shop/v1/shop_micro.ts";
import { OrderState } from "../../shop/src/gen/shop/v1/shop_pb.ts";
import { until } from "../../support/processes.ts";
import { drivers } from "./drivers.ts";
import { delivered } from "./shop.ts";

const customers = ["Ada", "Barbara", "Grace", "Radia"];
const orderCount = 120;

const client = createClient({ drivers, credentials: tokenOf("customer") });
const orders = createOrdersClient(client);
const confirmed = new Map<string, string>();
let asked = 0;
/** Orders with an unknown outcome: the node died, or was too slow for their deadline. */
let unsure = 0;

async function order(customer: string): Promise<void> {
  while (asked < orderCount) {
    asked++;
    try {
      const { id } = await orders.place({ customer, lines: [{ article: "apples", quantity: 2 }] });
      confirmed.set(id, customer);
    } catch (error) {
      // Placing is not idempotent, so the client does not retry it; the customer does.
      const again = error instanceof MicroError && /unavailable|deadline_exceeded/.test(error.code);
      if (!again) throw error;
      unsure++;
      asked--;
    }
    if (confirmed.size >= orderCount / 3) process.send?.({ third: true });
  }
}

await Promise.all(customers.map(order));
console.log(
  `  ${confirmed.size} orders confirmed; ${unsure} more were repeated because their node died or was too slow`,
);

const shipped = async () => {
  const states = await Promise.all([...confirmed.keys()].map((id) => orders.get({ id })));
  return states.filter(({ state }) => state === OrderState.SHIPPED).length;
};
const all = confirmed.size;
await until("orders that are shipped", shipped, (count) => count === all, 30_000);
console.log(`  ${all} of them shipped`);

const letters = async () => {
  const sent = await Promise.all(
    customers.map((customer) => createMailClient(client).sent({ customer })),
  );
  const subjects = sent.flatMap((each) => each.subjects);
  return [...confirmed.keys()].filter(
    (id) => subjects.filter((subject) => subject.endsWith(id)).length === 2,
  ).length;
};
await until("orders with two letters", letters, (count) => count === all, 30_000);
console.log(`  ${all} of them have exactly two letters`);

for await (const { article, quantity } of createStockClient(client).watch({})) {
  if (article !== "apples") continue;
  const gone = (delivered.left.apples ?? 0) - quantity;
  const known = 2 * all;
  if (gone < known || gone > known + 2 * unsure) {
    throw new Error(`${gone} apples are gone, expected ${known} to ${known + 2 * unsure}`);
  }
  console.log(
    `  ${gone} apples are gone: ${known} in confirmed orders, ${gone - known} in unconfirmed ones`,
  );
}
await client.close();
