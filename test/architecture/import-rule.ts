import { posix } from "node:path";
import { ts } from "ts-morph";

/** The files of `runtime/src` by their path in it. */
export type Sources = ReadonlyMap<string, string>;

/** Layers of the house from the ground up; a file may import its own layer and those below. */
const layers: readonly (readonly string[])[] = [
  [
    "error",
    "metadata",
    "deadline",
    "abort-watch",
    "backend",
    "backoff",
    "logger",
    "log-value",
    "address",
    "address-ranges",
    "advertised-address",
  ],
  ["codec", "method", "call", "answer", "gen", "built-with"],
  ["nats", "transport", "registry", "broker", "store", "sync", "config", "auth"],
  ["selector"],
  ["client", "server"],
  ["debug", "tunnel", "network", "runtime"],
];

/** Implementations of an interface; none may import another. */
const implementations: ReadonlySet<string> = new Set([
  "codec/bytes.ts",
  "codec/json.ts",
  "codec/protobuf.ts",
  "transport/memory.ts",
  "transport/tcp.ts",
  "transport/nats.ts",
  "transport/http.ts",
  "transport/go-micro.ts",
  "transport/go-micro-nats.ts",
  "registry/memory.ts",
  "registry/mdns.ts",
  "registry/cache.ts",
  "registry/nats.ts",
  "registry/go-micro-nats.ts",
  "broker/memory.ts",
  "broker/http.ts",
  "broker/nats.ts",
  "broker/jetstream.ts",
  "store/memory.ts",
  "store/file.ts",
  "store/nats.ts",
  "sync/nats.ts",
  "sync/memory.ts",
  "sync/file.ts",
  "config/env.ts",
  "config/nats.ts",
  "config/flags.ts",
  "config/file.ts",
  "config/memory.ts",
  "runtime/local.ts",
]);

/** Rooms that stand for no interface: what the drivers of one backend share. Only implementations may import them. */
const shared: ReadonlySet<string> = new Set(["nats"]);

/** Files that others may import from a folder beside its contract `<folder>/<folder>.ts`. */
const contracts: ReadonlySet<string> = new Set(["broker/topic.ts"]);

/** Which packages may be imported, and below which paths. */
const packages: readonly (readonly [name: string, below: RegExp])[] = [
  [
    "@bufbuild/protobuf",
    /^(codec|gen|debug|transport\/http|transport\/go-micro)\/|^connect-transport/,
  ],
  ["@connectrpc/connect", /^(transport\/http|debug)\/|^connect-transport/],
  ["@connectrpc/connect-node", /^transport\/http\//],
  ["classic-level", /^store\/file/],
  ["dns-packet", /^registry\/mdns/],
  ["multicast-dns", /^registry\/mdns/],
  ["nats", /^(nats\/|[a-z]+\/(nats|jetstream|go-micro-nats))/],
  ["yaml", /^config\//],
  ["smol-toml", /^config\//],
];

/** What in these sources breaks the import rule, a sentence each; empty when nothing does. */
export function violations(sources: Sources): readonly string[] {
  const found: string[] = [];
  const graph = new Map<string, readonly string[]>();
  for (const [file, text] of sources) {
    const inside: string[] = [];
    for (const { fileName } of ts.preProcessFile(text, true, true).importedFiles) {
      if (fileName.startsWith(".")) {
        const target = posix.join(posix.dirname(file), fileName);
        if (!sources.has(target)) found.push(`${file} imports ${fileName}, which does not exist`);
        inside.push(target);
        found.push(...judge(file, target));
      } else if (!fileName.startsWith("node:")) {
        const allowed = packages.find(
          ([name]) => fileName === name || fileName.startsWith(`${name}/`),
        );
        if (!allowed?.[1].test(file)) found.push(`${file} may not import the package ${fileName}`);
      }
    }
    graph.set(file, inside);
  }
  const cycle = findCycle(graph);
  if (cycle !== undefined) found.push(`imports go in a circle: ${cycle.join(" -> ")}`);
  return found;
}

function judge(file: string, target: string): string[] {
  const [from, to] = [layerOf(file), layerOf(target)];
  if (to > from) return [`${file} (layer ${from}) imports ${target} (layer ${to}) above it`];
  if (implementations.has(file) && implementations.has(target)) {
    return [`${file} imports another implementation, ${target}`];
  }
  const [fromRoom, toRoom] = [roomOf(file), roomOf(target)];
  const wiresThings = from > layers.length;
  if (fromRoom === toRoom || to <= 2 || wiresThings) return [];
  if (shared.has(toRoom) && from === to) return [];
  if (target === `${toRoom}/${toRoom}.ts` || contracts.has(target)) return [];
  return [`${file} imports ${target}, which is not the contract of ${toRoom}`];
}

/** The folder of a file, or its own name where it stands at the top. */
function roomOf(file: string): string {
  const slash = file.indexOf("/");
  return slash < 0 ? file.replace(/\.ts$/, "") : file.slice(0, slash);
}

/** From 1; files at the top that belong to no layer, such as service.ts, are above all. */
function layerOf(file: string): number {
  const index = layers.findIndex((rooms) => rooms.includes(roomOf(file)));
  return index < 0 ? layers.length + 1 : index + 1;
}

function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | undefined => {
    const start = path.indexOf(file);
    if (start >= 0) return [...path.slice(start), file];
    if (done.has(file)) return undefined;
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
