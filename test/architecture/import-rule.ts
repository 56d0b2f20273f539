import { posix } from "node:path";
import { ts } from "ts-morph";

/** Source files by their path from the root of the repository. */
export type Sources = ReadonlyMap<string, string>;

/** A folder whose files may import each other, and its place in the house. */
export interface Room {
  readonly folder: string;
  /** Imports point to a lower layer, or stay in the room. */
  readonly layer: number;
  /**
   * What other rooms may import: `all` of it, or the contract (`<room>/<room>.ts`) and the files
   * listed here. Rooms that wire the house together may import anything below them.
   */
  readonly open?: "all" | readonly string[];
  /**
   * Subfolders that are implementations; they never import each other, nor are they imported by
   * what they share.
   */
  readonly implementations?: readonly string[];
  /** Imports implementations as well: it wires the house together. */
  readonly wires?: true;
  /** Packages that files may import, with the folders that may. */
  readonly packages?: Readonly<Record<string, readonly string[]>>;
  /** Modules of Node that its files may not import. */
  readonly withoutModules?: readonly string[];
}

const protobuf = "@bufbuild/protobuf";

/** What a driver imports of ours: these two entries, by name. */
const runtimeForDrivers = { "@micro-es/runtime": [""], "@micro-es/runtime/driver": [""] };

/** The import rule: the rooms of the house, from the ground up. */
export const rooms: readonly Room[] = [
  { folder: "runtime/src/base", layer: 1, open: "all" },
  { folder: "runtime/src/gen", layer: 1, open: "all", packages: { [protobuf]: [""] } },
  { folder: "runtime/src/codec", layer: 2, open: "all", packages: { [protobuf]: [""] } },
  { folder: "runtime/src/call", layer: 3, open: "all" },
  // HTTP/2 on a socket. It is independent of calls, and replaces Node's own.
  {
    folder: "runtime/src/transport/http2",
    layer: 3,
    open: "all",
    withoutModules: ["node:http", "node:http2"],
  },
  {
    folder: "runtime/src/transport",
    layer: 4,
    open: "all",
    implementations: ["memory", "http"],
    packages: { [protobuf]: ["http"] },
  },
  {
    folder: "runtime/src/registry",
    layer: 4,
    implementations: ["memory", "mdns", "gossip", "cache"],
    packages: { "dns-packet": ["mdns"] },
  },
  {
    folder: "runtime/src/store",
    layer: 4,
    implementations: ["memory", "file"],
    packages: { "classic-level": ["file"] },
  },
  { folder: "runtime/src/sync", layer: 4, implementations: ["memory", "file"] },
  {
    folder: "runtime/src/config",
    layer: 4,
    implementations: ["env", "flags", "file", "memory"],
    packages: { yaml: ["file"], "smol-toml": ["file"] },
  },
  {
    folder: "runtime/src/auth",
    layer: 5,
    open: [
      "access-control.ts",
      "audit.ts",
      "decide.ts",
      "identity-cache.ts",
      "refusals.ts",
      "rule-set.ts",
    ],
    implementations: [
      "jwt",
      "local",
      "certificate",
      "go-micro",
      "any",
      "test",
      "store-rules",
      "static-rules",
    ],
    packages: { jose: [""] },
  },
  {
    folder: "runtime/src/broker",
    layer: 5,
    open: ["close-for-caller.ts", "guarded-entrance.ts", "topic.ts", "option-kinds.ts"],
    implementations: ["memory", "http"],
  },
  {
    folder: "runtime/src/go-micro",
    layer: 5,
    open: [],
    packages: { [protobuf]: [""] },
  },
  // Puts the native protocol, HTTP and go-micro on one port.
  { folder: "runtime/src/transport/tcp", layer: 6, wires: true },
  { folder: "runtime/src/selector", layer: 5 },
  { folder: "runtime/src/client", layer: 6 },
  { folder: "runtime/src/server", layer: 7 },
  {
    folder: "runtime/src/debug",
    layer: 8,
    packages: { [protobuf]: [""], "@connectrpc/connect": ["connect-routes.ts"] },
  },
  { folder: "runtime/src/runtime", layer: 8, implementations: ["local"] },
  {
    folder: "runtime/src/service",
    layer: 9,
    wires: true,
    packages: {
      [protobuf]: ["connect"],
      "@connectrpc/connect": ["connect"],
      "@connectrpc/connect-node": ["connect"],
    },
  },
  { folder: "runtime/src/codegen-v1", layer: 10, wires: true },
  { folder: "runtime/src/testing", layer: 10, wires: true },
  { folder: "runtime/src", layer: 11, wires: true },
  {
    folder: "drivers/nats/src/link",
    layer: 12,
    open: "all",
    packages: { ...runtimeForDrivers, nats: [""] },
  },
  {
    folder: "drivers/nats/src",
    layer: 13,
    wires: true,
    implementations: [
      "registry",
      "broker/core",
      "broker/jetstream",
      "store",
      "sync",
      "config",
      "transport",
      "go-micro/registry",
      "go-micro/transport",
    ],
    packages: { ...runtimeForDrivers, nats: [""] },
  },
  {
    folder: "drivers/etcd/src/gen",
    layer: 12,
    open: "all",
    packages: { [protobuf]: [""] },
  },
  {
    folder: "drivers/etcd/src/link",
    layer: 13,
    open: "all",
    packages: { ...runtimeForDrivers, [protobuf]: [""] },
  },
  {
    folder: "drivers/etcd/src",
    layer: 14,
    wires: true,
    implementations: ["registry"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/consul/src/link",
    layer: 12,
    open: "all",
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/consul/src",
    layer: 13,
    wires: true,
    implementations: ["registry", "sync", "config"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/dns/src/link",
    layer: 12,
    open: "all",
    packages: { ...runtimeForDrivers, "dns-packet": [""] },
  },
  {
    folder: "drivers/dns/src",
    layer: 13,
    wires: true,
    implementations: ["registry"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/rabbitmq/src/link",
    layer: 12,
    open: "all",
    packages: { ...runtimeForDrivers, amqplib: [""] },
  },
  {
    folder: "drivers/rabbitmq/src",
    layer: 13,
    wires: true,
    implementations: ["broker"],
    packages: { ...runtimeForDrivers, amqplib: [""] },
  },
  {
    folder: "drivers/nsq/src/wire",
    layer: 12,
    open: "all",
    packages: {},
  },
  {
    folder: "drivers/nsq/src/link",
    layer: 13,
    open: "all",
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/nsq/src",
    layer: 14,
    wires: true,
    implementations: ["broker"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/zookeeper/src/wire",
    layer: 12,
    open: "all",
    packages: {},
  },
  {
    folder: "drivers/zookeeper/src/link",
    layer: 13,
    open: "all",
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/zookeeper/src",
    layer: 14,
    wires: true,
    implementations: ["registry", "sync", "config"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/redis/src/link",
    layer: 12,
    open: "all",
    packages: { ...runtimeForDrivers, ioredis: [""] },
  },
  {
    folder: "drivers/redis/src",
    layer: 13,
    wires: true,
    implementations: ["broker", "store", "sync", "config"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/kafka/src/link",
    layer: 12,
    open: "all",
    packages: { ...runtimeForDrivers, "@platformatic/kafka": [""] },
  },
  {
    folder: "drivers/kafka/src",
    layer: 13,
    wires: true,
    implementations: ["broker"],
    packages: { ...runtimeForDrivers, "@platformatic/kafka": [""] },
  },
  {
    folder: "drivers/pubsub/src/gen",
    layer: 12,
    open: "all",
    packages: {
      "@micro-es/runtime": [""],
      "@micro-es/runtime/codegenv1": [""],
      "@micro-es/runtime/codegenv1/well-known": [""],
      [protobuf]: [""],
    },
  },
  {
    folder: "drivers/pubsub/src/link",
    layer: 13,
    open: "all",
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/pubsub/src",
    layer: 14,
    wires: true,
    implementations: ["broker"],
    packages: runtimeForDrivers,
  },
  {
    folder: "drivers/postgres/src/link",
    layer: 12,
    open: "all",
    packages: { ...runtimeForDrivers, pg: [""] },
  },
  {
    folder: "drivers/postgres/src",
    layer: 13,
    wires: true,
    implementations: ["store", "sync", "outbox"],
    packages: runtimeForDrivers,
  },
];

/** The files that break the import rule, a sentence for each; empty when none does. */
export function violations(sources: Sources): readonly string[] {
  const found: string[] = [];
  for (const [file, text] of sources) {
    for (const fileName of importsOf(text)) {
      if (fileName.startsWith(".")) {
        const target = posix.join(posix.dirname(file), fileName);
        if (!sources.has(target)) found.push(`${file} imports ${fileName}, which does not exist`);
        found.push(...judge(file, target));
      } else if (!fileName.startsWith("node:")) {
        found.push(...judgePackage(file, fileName));
      } else if (roomOf(file)?.withoutModules?.includes(fileName) === true) {
        found.push(`${file} may not import ${fileName}`);
      }
    }
  }
  const cycle = findCycle(graphOf(sources));
  if (cycle !== undefined) found.push(`import cycle: ${cycle.join(" -> ")}`);
  return found;
}

/** Imports by the text of a file: tests ask again for the same files, with one of them changed. */
const knownImports = new Map<string, readonly string[]>();

function importsOf(text: string): readonly string[] {
  let imports = knownImports.get(text);
  if (imports === undefined) {
    imports = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
    knownImports.set(text, imports);
  }
  return imports;
}

/** The violations of an import of one file by another. */
function judge(file: string, target: string): string[] {
  const [from, to] = [roomOf(file), roomOf(target)];
  if (from === undefined || to === undefined) {
    return [`${from === undefined ? file : target} is in no room of the table`];
  }
  const [own, other] = [implementationOf(file, from), implementationOf(target, to)];
  if (from === to) {
    if (other === undefined || other === own) return [];
    if (own === undefined && from.wires === true) return [];
    if (own !== undefined) return [`${file} imports another implementation, ${target}`];
    return [`${file} is shared by implementations and imports one, ${target}`];
  }
  if (packageOf(from) !== packageOf(to)) return [`${file} reaches into another package, ${target}`];
  if (to.layer >= from.layer) {
    return [
      `${file} (layer ${from.layer}) imports ${target} (layer ${to.layer}), which is not below it`,
    ];
  }
  if (from.wires === true) return [];
  if (other !== undefined) return [`${file} imports an implementation, ${target}`];
  const inRoom = posix.relative(to.folder, target);
  const contract = `${posix.basename(to.folder)}.ts`;
  if (to.open === "all" || inRoom === contract || to.open?.includes(inRoom)) return [];
  return [`${file} imports ${target}, which is not the contract of ${to.folder}`];
}

function judgePackage(file: string, imported: string): string[] {
  const room = roomOf(file);
  const inRoom = room === undefined ? file : posix.relative(room.folder, file);
  const ours = imported.startsWith("@micro-es/");
  const allowed = Object.entries(room?.packages ?? {}).some(
    ([name, folders]) =>
      (imported === name || (!ours && imported.startsWith(`${name}/`))) &&
      folders.some((it) => it === "" || inRoom === it || inRoom.startsWith(`${it}/`)),
  );
  return allowed ? [] : [`${file} may not import the package ${imported}`];
}

/** The room of a file: the longest folder of the table that holds it. */
function roomOf(file: string): Room | undefined {
  return rooms
    .filter(({ folder }) => file.startsWith(`${folder}/`))
    .sort((one, other) => other.folder.length - one.folder.length)[0];
}

function implementationOf(file: string, room: Room): string | undefined {
  const inRoom = posix.relative(room.folder, file);
  return room.implementations?.find((name) => inRoom.startsWith(`${name}/`));
}

/** The folder of the npm package that a room belongs to. */
function packageOf({ folder }: Room): string {
  return folder.slice(0, folder.indexOf("/src"));
}

/** The files that each file imports by a relative path. */
export function graphOf(sources: Sources): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...sources].map(([file, text]) => [
      file,
      importsOf(text)
        .filter((fileName) => fileName.startsWith("."))
        .map((fileName) => posix.join(posix.dirname(file), fileName)),
    ]),
  );
}

/** A circle of imports, from a file back to itself; undefined if there is none. */
export function findCycle(
  graph: ReadonlyMap<string, readonly string[]>,
): readonly string[] | undefined {
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
