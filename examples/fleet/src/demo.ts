import { join } from "node:path";
import { type Program, start } from "../../support/processes.ts";
import { startServer } from "./nats-server.ts";

const file = (name: string) => join(import.meta.dirname, `${name}.ts`);

await using server = await startServer();
if (server === undefined) {
  console.error(
    "*** SKIPPED: nats-server is not installed (apt install nats-server), and the fleet needs one ***",
  );
  process.exit(process.env.CI === "true" ? 1 : 0);
}
const env = {
  MICRO_NATS_URL: server.url,
  MICRO_ADDRESS: "127.0.0.1:0",
  MICRO_LOG_LEVEL: process.env.MICRO_LOG_LEVEL ?? "error",
};

try {
  console.log(`nats-server listens at ${server.url}`);
  await using a = start("a", file("node"), { ...env, NODE_NAME: "a" });
  await using b = start("b", file("node"), { ...env, NODE_NAME: "b" });
  await using c = start("c", file("node"), { ...env, NODE_NAME: "c" });
  const nodes = [a, b, c];
  // Each node leads once at most: until it is stopped.
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
  console.log(`  node ${leader.name}, process ${leader.pid}, was killed while they do`);
  console.log(`  node ${(await Promise.race(leading.values())).name} leads`);
  if ((await customers.ended) !== 0) throw new Error("the customers went away unhappy");

  for (const node of leading.keys()) {
    const code = await node.stop();
    if (code !== 0) throw new Error(`node ${node.name} ended with code ${code}`);
  }
  console.log("the other two closed; all as it should be");
} catch (error) {
  console.error(`Not as it should be: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** The node, once it leads. One that ends before is no concern of whoever waits for the first. */
async function leads(node: Program): Promise<Program> {
  await node.told("leads").catch(() => new Promise(() => {}));
  return node;
}
