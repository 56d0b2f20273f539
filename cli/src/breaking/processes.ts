import type { Node, Registry } from "@micro-es/runtime";
import { type BuiltWith, builtWith } from "@micro-es/runtime/schema-digests";

/** A running program, as registered. */
export interface Process {
  /** Name of the program's own service. */
  readonly name: string;
  readonly node: Node;
  /** All names under which it is registered. */
  readonly names: readonly string[];
  readonly builtWith: BuiltWith;
}

/**
 * All programs of the fleet. A program with several services has a node for each, at one address.
 */
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
    // The node under the program's own name has all metadata; the others have that of one service
    // each.
    const [node] = ofOne.toSorted((a, b) => b.endpoints.length - a.endpoints.length);
    if (node === undefined) return [];
    const found = ofOne.map(({ service }) => service);
    return [{ name: node.service, node, names: found, builtWith: builtWith(node) }];
  });
}
