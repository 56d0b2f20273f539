import { natsRegistry } from "@micro-es/nats";

/** A process that registers some nodes and then does nothing until it is ended. */
const { servers, ids, who, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  servers: string;
  ids: readonly string[];
  who: string;
  ttlMs: number;
};
const registry = natsRegistry({ servers });
for (const id of ids) {
  const node = { id, service: "work", version: "1", address: "127.0.0.1:9", endpoints: [] };
  await registry.register({ ...node, metadata: { who } }, { ttlMs });
}
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
