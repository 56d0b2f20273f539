import type { Node } from "@micro-es/runtime";
import { natsRegistry } from "@micro-es/runtime/registry/nats";

/** A process that registers a node and then does nothing until it is killed. */
const { servers, bucket, node, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  bucket: string;
  node: Node;
  ttlMs: number;
};
const registry = natsRegistry({ servers, bucket });
await registry.register(node, { ttlMs });
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
