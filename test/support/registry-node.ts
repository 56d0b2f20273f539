import { gossipRegistry, mdnsRegistry, type Node } from "@micro-es/runtime";
import type { ProcessRegistry } from "./registry-process.ts";

/**
 * A process that registers a node and then does nothing, or closes when it receives a line.
 */
interface Start {
  readonly options: ProcessRegistry;
  readonly node: Node;
  readonly ttlMs: number;
}

const { options, node, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as Start;
const registry =
  options.gossip === undefined ? mdnsRegistry(options.mdns) : gossipRegistry(options.gossip);
await registry.register(node, { ttlMs });
process.stdout.write("registered\n");
process.stdin.once("data", async () => {
  await registry.close();
  process.stdin.destroy();
});
