import { join } from "node:path";
import { ownNetwork, start } from "../../support/processes.ts";
import { issueAccess } from "./issuer.ts";

const file = (name: string) => join(import.meta.dirname, `${name}.ts`);

try {
  await using access = await issueAccess();
  const network = {
    ...ownNetwork(),
    SHOP_ACCESS: access.folder,
    // The call that is refused at the end leaves a warning in the log of its service.
    MICRO_LOG_LEVEL: process.env.MICRO_LOG_LEVEL ?? "error",
  };
  await using orders = start("orders", file("orders"), network);
  await using stock = start("stock", file("stock"), network);
  await using mail = start("mail", file("mail"), network);
  for (const service of [orders, stock, mail]) {
    console.log(`${service.name} listens at ${String(await service.told("ready"))}`);
  }
  console.log("a customer comes:");
  await using customer = start("customer", file("customer"), network);
  if ((await customer.ended) !== 0) throw new Error("the customer failed");
  for (const service of [orders, stock, mail]) {
    const code = await service.stop();
    if (code !== 0) throw new Error(`${service.name} ended with code ${code}`);
  }
  console.log("all closed");
} catch (error) {
  console.error(`Failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
