import type { NatsOptions } from "@micro-es/nats";
import { goMicroNatsRegistry, natsRegistry } from "@micro-es/nats";
import type { Node } from "@micro-es/runtime";

/** A process that registers a node and then does nothing until it is killed. */
const { servers, security, bucket, topics, node, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  security?: NatsOptions;
  bucket?: string;
  topics?: { queryTopic: string; watchTopic: string };
  node: Node;
  ttlMs: number;
};
const registry =
  topics === undefined
    ? natsRegistry({ ...security, servers, ...(bucket === undefined ? {} : { bucket }) })
    : goMicroNatsRegistry({ servers, ...topics });
await registry.register(node, { ttlMs });
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
