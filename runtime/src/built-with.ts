/**
 * What the parts of a program were built with: the services that it answers and calls, and the topics that it listens to,
 * each with the digest of its schema that generated code carries. A service publishes it in its registry record, so that a
 * changed schema can be held against everything that runs (`micro breaking --live`).
 */
export type BuiltWithRole = "serves" | "calls" | "subscribes";

/** The digests of schemas by the full name of a service or the name of a topic. */
export type SchemaDigests = ReadonlyMap<string, string>;

/** What a node of a registry was built with. */
export interface BuiltWith {
  readonly serves: SchemaDigests;
  readonly calls: SchemaDigests;
  readonly subscribes: SchemaDigests;
  /** False when the node was built with more than its record has room for. */
  readonly complete: boolean;
}

/** The keys of a record's metadata. */
const keys: Readonly<Record<BuiltWithRole, string>> = {
  serves: "schema",
  calls: "calls",
  subscribes: "subscribes",
};

/** The room in a record for each of the three, in characters: mDNS has 8,800 bytes for all of it. */
const maxListLength = 1_024;

/** Stands at the end of a list that is longer than its room. */
const more = "*";

type Digests = Record<BuiltWithRole, Map<string, string>>;

interface Declared {
  readonly digests: Digests;
  readonly listeners: Set<() => void>;
}

/** By the server, client or broker that generated code was given. */
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

/** Says that what goes through a server, client or broker was built with this schema. */
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

/** Calls back when one of the owners has declared another schema, until the returned function is called. */
export function onDeclaredSchema(owners: readonly object[], listener: () => void): () => void {
  for (const owner of owners) of(owner).listeners.add(listener);
  return () => {
    for (const owner of owners) of(owner).listeners.delete(listener);
  };
}

/** The metadata of a record that says what these were built with; what says nothing has no key. */
export function builtWithMetadata(owners: readonly object[]): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = {};
  for (const role of Object.keys(keys) as BuiltWithRole[]) {
    const all = owners.flatMap((owner) => [...of(owner).digests[role]]);
    if (all.length > 0) metadata[keys[role]] = listOf(all);
  }
  return metadata;
}

/** What a record says of what its node was built with. It comes from outside: what is no digest is left out. */
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
