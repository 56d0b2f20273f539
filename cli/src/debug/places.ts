import {
  asMicroError,
  type CallOptions,
  MicroError,
  type Node,
  type Registry,
} from "@micro-es/runtime";
import type { Protocol } from "../protocols.ts";
import type { Target } from "../target.ts";

/** One process that is asked about itself. */
export interface Place {
  readonly address: string;
  /** Undefined for an address that no registry told. */
  readonly node: Node | undefined;
  readonly protocol: Protocol;
  /** What makes a call go there, and nowhere else. */
  readonly call: CallOptions;
}

/** The processes of a target. */
export function placesOf(target: Target): readonly Place[] {
  const { name, nodes, protocol, call } = target;
  if (nodes.length === 0) return [{ address: name, node: undefined, protocol, call }];
  return nodes.map((node) => placeOf(node, protocol));
}

/** Where a node is. */
export function placeOf(node: Node, protocol: Protocol): Place {
  const filters = [({ id }: Node) => id === node.id];
  return { address: node.address, node, protocol, call: { service: node.service, filters } };
}

/** Every process that is registered, each once, whatever number of services it answers for. */
export async function allPlaces(
  registry: Registry,
  signal: AbortSignal,
): Promise<readonly Place[]> {
  const places = new Map<string, Place>();
  for (const name of await registry.list({ signal })) {
    if (name.startsWith("micro.")) continue;
    for (const node of await registry.get(name, { signal })) {
      if (!places.has(node.address)) places.set(node.address, placeOf(node, "grpc"));
    }
  }
  return [...places.values()];
}

/** What ended a question, in words that say what to do. */
export function debugFailure(address: string, reason: unknown): MicroError {
  const error = asMicroError(reason);
  if (error.code !== "unimplemented") return error;
  return new MicroError(
    "unimplemented",
    `${address} tells nothing of itself: createService({ debug: debugService() }) lets a service do so, with debugService of @micro-es/runtime/debug`,
    { cause: reason },
  );
}
