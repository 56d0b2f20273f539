import { type MdnsRegistryOptions, mdnsRegistry, type Node } from "@micro-es/runtime";

/**
 * A process that registers a node and then does nothing, or closes when it receives a line.
 */
interface Start {
  readonly options: MdnsRegistryOptions;
  readonly node: Node;
  readonly ttlMs: number;
}

const { options, node, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as Start;
const registry = mdnsRegistry(options);
await registry.register(node, { ttlMs });
process.stdout.write("registered\n");
process.stdin.once("data", async () => {
  await registry.close();
  process.stdin.destroy();
});
