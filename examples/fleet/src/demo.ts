import { join } from "node:path";
import { issueAccess } from "../../shop/src/issuer.ts";
import { type Program, start } from "../../support/processes.ts";
import { startServer } from "./nats-server.ts";

const file = (name: string) => join(import.meta.dirname, `${name}.ts`);

await using server = await startServer();
if (server === undefined) {
  console.error(
    "*** SKIPPED: the fleet needs nats-server, which is not installed (apt install nats-server) ***",
  );
  process.exit(process.env.CI === "true" ? 1 : 0);
}
await using access = await issueAccess();
const env = {
  SHOP_ACCESS: access.folder,
  MICRO_BACKEND: `${server.url}?ackWait=3s`,
  MICRO_ADDRESS: "127.0.0.1:0",
  MICRO_LOG_LEVEL: process.env.MICRO_LOG_LEVEL ?? "error",
};

try {
  console.log(`nats-server listens at ${server.url}`);
  if (process.env.MICRO_BROKER !== undefined) console.log("events are carried by MICRO_BROKER");
  await using a = start("a", file("node"), { ...env, NODE_NAME: "a" });
  await using b = start("b", file("node"), { ...env, NODE_NAME: "b" });
  await using c = start("c", file("node"), { ...env, NODE_NAME: "c" });
  const nodes = [a, b, c];
  // A node leads at most once, until it is stopped.
  const leading = new Map(nodes.map((node) => [node, leads(node)]));
  for (const node of nodes) {
    console.log(`node ${node.name} listens at ${String(await node.told("ready"))}`);
  }
  const leader = await Promise.race(leading.values());
  console.log(`node ${leader.name} leads`);

  console.log("customers order:");
  await using customers = start("customers", file("customers"), env);
  await customers.told("third");
  leading.delete(leader);
  await leader.kill();
  console.log(`  node ${leader.name}, process ${leader.pid}, was killed meanwhile`);
  console.log(`  node ${(await Promise.race(leading.values())).name} leads`);
  if ((await customers.ended) !== 0) throw new Error("the customers failed");

  for (const node of leading.keys()) {
    const code = await node.stop();
    if (code !== 0) throw new Error(`node ${node.name} ended with code ${code}`);
  }
  console.log("the other two stopped; every order was shipped");
} catch (error) {
  console.error(`Failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** The node, once it leads. Never resolves for a node that ends before. */
async function leads(node: Program): Promise<Program> {
  await node.told("leads").catch(() => new Promise(() => {}));
  return node;
}
