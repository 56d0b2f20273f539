import { readFileSync } from "node:fs";
import type { Node, RegistryEvent } from "@micro-es/runtime";

/** A service in go-micro's form. */
export interface GoService {
  readonly name: string;
  readonly version: string;
  readonly endpoints: readonly { readonly name: string; readonly metadata: object }[];
  readonly nodes: readonly { readonly id: string; readonly address: string }[];
}

/** A conversation of a fleet with go-micro, as both sides saw it. */
export interface RecordedFleet {
  readonly protocol: string;
  readonly go: {
    readonly own: readonly GoService[];
    readonly found: readonly GoService[];
    readonly watched: readonly { readonly Action: string; readonly Service: GoService | null }[];
  };
  readonly ours: {
    readonly node: Node;
    readonly found: readonly Node[];
    readonly watched: readonly RegistryEvent[];
  };
}

/** Reads conversations from a file. */
export function recordedFleets<Fleet extends RecordedFleet>(file: URL): readonly Fleet[] {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** The nodes of services in go-micro's form. */
export function nodesOf(services: readonly GoService[]): readonly object[] {
  return services.flatMap(({ name, version, endpoints, nodes }) =>
    nodes.map((node) => ({
      ...node,
      service: name,
      version,
      endpoints: endpoints.map((each) => ({ name: each.name, metadata: each.metadata })),
    })),
  );
}

/** A record in JSON without what differs between registrations of the same node. */
export function withoutOwner(value: string): string {
  const found = /"owner":"[^"]+"/.exec(value);
  if (found === null) throw new Error(`a record without an owner: ${value}`);
  return value.replace(found[0], '"owner":""');
}
