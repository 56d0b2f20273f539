import { type BuiltWith, builtWith, type Node, type Registry } from "@micro-es/runtime";

/** A running program as the registry tells of it. */
export interface Process {
  /** The service that it is, of those that it answers for. */
  readonly name: string;
  readonly node: Node;
  /** All names that it is found by. */
  readonly names: readonly string[];
  readonly builtWith: BuiltWith;
}

/** Every program of the fleet. One that answers for several services has a node for each, at one address. */
export async function findProcesses(
  registry: Registry,
  signal: AbortSignal,
): Promise<readonly Process[]> {
  const names = await registry.list({ signal });
  const nodes = await Promise.all(names.map((name) => registry.get(name, { signal })));
  const byAddress = new Map<string, Node[]>();
  for (const node of nodes.flat()) {
    const others = byAddress.get(node.address);
    if (others === undefined) byAddress.set(node.address, [node]);
    else others.push(node);
  }
  return [...byAddress.values()].flatMap((ofOne) => {
    // The node under the program's own name tells of everything; the others of one service each.
    const [node] = ofOne.toSorted((a, b) => b.endpoints.length - a.endpoints.length);
    if (node === undefined) return [];
    const found = ofOne.map(({ service }) => service);
    return [{ name: node.service, node, names: found, builtWith: builtWith(node) }];
  });
}
