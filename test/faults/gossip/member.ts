import { createInterface } from "node:readline";
import { gossipRegistry, type Node, silentLogger } from "@micro-es/runtime";
import { PartLogger } from "../../../runtime/src/base/part-logger.ts";
import { ClusterRegistry } from "../../../runtime/src/registry/gossip/cluster-registry.ts";
import { gossipProfiles } from "../../../runtime/src/registry/gossip/timing.ts";

/**
 * A process that registers a node on request, and writes the changes that it sees and those
 * of the registry's state, a line each.
 */
export interface Start {
  readonly id: string;
  readonly host: string;
  readonly seeds: readonly string[];
  readonly key: string;
  /** Is written by the scenario, and has the key at first. */
  readonly keyFile?: string;
  /** Plain SWIM, which no option of the registry selects. */
  readonly withoutLifeguard?: boolean;
}

/** A line that the process reads. */
export type Order =
  | { readonly do: "register" }
  | { readonly do: "block"; readonly ms: number }
  /** Registers the node again, with a label of this size. */
  | { readonly do: "grow"; readonly bytes: number };

const start = JSON.parse(process.argv[2] ?? "{}") as Start;
const { id, host, seeds } = start;
const registry = start.withoutLifeguard === true ? plainSwim(start) : withLifeguard(start);
const node: Node = {
  id,
  service: "work",
  version: "1",
  address: `${host}:9000`,
  metadata: {},
  endpoints: [],
};
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
registry.onStateChange((state) => say({ state }));

createInterface(process.stdin).on("line", (line) => void obey(JSON.parse(line) as Order));
say({ ready: true });

async function obey(order: Order): Promise<void> {
  switch (order.do) {
    case "register":
      await registry.register(node);
      say({ registered: true });
      void follow();
      break;
    case "block":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, order.ms);
      break;
    case "grow":
      await registry.register({ ...node, metadata: { large: "x".repeat(order.bytes) } });
  }
}

async function follow(): Promise<void> {
  for await (const event of registry.watch("work")) {
    const nodes = event.type === "snapshot" ? event.nodes : [event.node];
    for (const { id: subject, metadata } of nodes) {
      const present = event.type !== "removed";
      const bytes = metadata.large?.length ?? 0;
      say({ at: Date.now(), observer: id, subject, present, bytes });
    }
  }
}

function withLifeguard({ key, keyFile }: Start) {
  const keys = keyFile === undefined ? { key } : { keyFile };
  return gossipRegistry({ bind: `${host}:7946`, seeds, ...keys });
}

function plainSwim({ key }: Start): ClusterRegistry {
  return new ClusterRegistry({
    seeds: seeds.map((seed) => ({ host: seed, port: 7946 })),
    host,
    port: 7946,
    anyPort: false,
    advertise: undefined,
    keys: [key],
    keyFile: undefined,
    timing: { ...gossipProfiles.lan, lifeguard: false },
    joinTimeoutMs: 3_000,
    allowAddress: () => true,
    logger: new PartLogger(silentLogger, silentLogger),
  });
}
