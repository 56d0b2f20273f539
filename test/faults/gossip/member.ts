import { gossipRegistry } from "@micro-es/runtime";

/**
 * A process that registers a node, and writes the changes that it sees and those of the registry's
 * state, a line each.
 */
interface Start {
  readonly id: string;
  readonly host: string;
  readonly seeds: readonly string[];
  readonly key: string;
}

const { id, host, seeds, key } = JSON.parse(process.argv[2] ?? "{}") as Start;
const registry = gossipRegistry({ bind: `${host}:7946`, seeds, key });
registry.onStateChange((state) => process.stdout.write(`${JSON.stringify({ state })}\n`));
const node = { id, service: "work", version: "1", address: `${host}:9000` };
await registry.register({ ...node, metadata: {}, endpoints: [] });
process.stdout.write("registered\n");
// The sockets of a registry alone do not keep a process running.
setInterval(() => {}, 60_000);
const write = (subject: string, present: boolean) =>
  process.stdout.write(`${JSON.stringify({ at: Date.now(), observer: id, subject, present })}\n`);
for await (const event of registry.watch("work")) {
  if (event.type === "snapshot") for (const it of event.nodes) write(it.id, true);
  else write(event.node.id, event.type !== "removed");
}
