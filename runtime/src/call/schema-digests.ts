/**
 * The schemas that the parts of a program were built with: the services that it serves and calls,
 * and the topics that it subscribes to, each with the schema digest from generated code. A service
 * publishes them in its registry record, so that a changed schema can be compared with everything
 * that runs (`micro breaking --live`).
 */
export type BuiltWithRole = "serves" | "calls" | "subscribes";

/** Schema digests by the full name of a service or the name of a topic. */
export type SchemaDigests = ReadonlyMap<string, string>;

/** The schemas that a registry node was built with. */
export interface BuiltWith {
  readonly serves: SchemaDigests;
  readonly calls: SchemaDigests;
  readonly subscribes: SchemaDigests;
  /** False if the node was built with more schemas than its record has room for. */
  readonly complete: boolean;
}

/** The keys of a record's metadata. */
const keys: Readonly<Record<BuiltWithRole, string>> = {
  serves: "schema",
  calls: "calls",
  subscribes: "subscribes",
};

/**
 * The space in a record for each of the three lists, in characters: mDNS has 8,800 bytes for the
 * whole record.
 */
const maxListLength = 1_024;

/** Ends a list that was cut off because it exceeds its space. */
const more = "*";

type Digests = Record<BuiltWithRole, Map<string, string>>;

interface Declared {
  readonly digests: Digests;
  readonly listeners: Set<() => void>;
}

/** By the server, client or broker that generated code was attached to. */
const declared = new WeakMap<object, Declared>();

function of(owner: object): Declared {
  let found = declared.get(owner);
  if (found === undefined) {
    found = { digests: noDigests(), listeners: new Set() };
    declared.set(owner, found);
  }
  return found;
}

function noDigests(): Digests {
  return { serves: new Map(), calls: new Map(), subscribes: new Map() };
}

/** Declares that a server, client or broker serves, calls or subscribes with this schema. */
export function declareSchema(
  owner: object,
  role: BuiltWithRole,
  name: string,
  digest: string,
): void {
  const { digests, listeners } = of(owner);
  if (digests[role].get(name) === digest) return;
  digests[role].set(name, digest);
  for (const listener of listeners) listener();
}

/**
 * Calls the listener when one of the owners declares another schema, until the returned function is
 * called.
 */
export function onDeclaredSchema(owners: readonly object[], listener: () => void): () => void {
  for (const owner of owners) of(owner).listeners.add(listener);
  return () => {
    for (const owner of owners) of(owner).listeners.delete(listener);
  };
}

/**
 * The record metadata for the schemas that these owners were built with; empty lists have no key.
 */
export function builtWithMetadata(owners: readonly object[]): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = {};
  for (const role of Object.keys(keys) as BuiltWithRole[]) {
    const all = owners.flatMap((owner) => [...of(owner).digests[role]]);
    if (all.length > 0) metadata[keys[role]] = listOf(all);
  }
  return metadata;
}

/**
 * The schemas that a record lists for its node. The record comes from outside: invalid digests are
 * skipped.
 */
export function builtWith(node: {
  readonly metadata: Readonly<Record<string, string>>;
}): BuiltWith {
  let complete = true;
  const read = (role: BuiltWithRole): SchemaDigests => {
    const digests = new Map<string, string>();
    for (const entry of (node.metadata[keys[role]] ?? "").split(",")) {
      if (entry === more) complete = false;
      const [, name, digest] = /^([A-Za-z0-9._-]+)=([0-9a-f]{16})$/.exec(entry) ?? [];
      if (name !== undefined && digest !== undefined) digests.set(name, digest);
    }
    return digests;
  };
  const [serves, calls, subscribes] = [read("serves"), read("calls"), read("subscribes")];
  return { serves, calls, subscribes, complete };
}

function listOf(digests: readonly (readonly [string, string])[]): string {
  const entries = digests.map(([name, digest]) => `${name}=${digest}`).sort();
  let list = "";
  for (const entry of entries) {
    const longer = list === "" ? entry : `${list},${entry}`;
    if (longer.length > maxListLength) return `${list},${more}`;
    list = longer;
  }
  return list;
}
