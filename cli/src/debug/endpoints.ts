import {
  asMicroError,
  type CallOptions,
  MicroError,
  type Node,
  type Registry,
} from "@micro-es/runtime";
import type { Protocol } from "../protocols.ts";
import type { Target } from "../target.ts";

/** The endpoint of a process's debug service. */
export interface Endpoint {
  readonly address: string;
  /** Undefined for an address that does not come from a registry. */
  readonly node: Node | undefined;
  readonly protocol: Protocol;
  /** Call options that select exactly this process. */
  readonly call: CallOptions;
}

/** Metadata of requests to debug services: their token, if the environment has one. */
export type DebugCall = Pick<CallOptions, "metadata">;

export function debugCall({
  MICRO_DEBUG_TOKEN: token = "",
}: Readonly<Record<string, string | undefined>>): DebugCall {
  return token === "" ? {} : { metadata: { authorization: `Bearer ${token}` } };
}

/** The processes of a target. */
export function endpointsOf(target: Target, debug: DebugCall): readonly Endpoint[] {
  const { name, nodes, protocol, call } = target;
  if (nodes.length > 0) return nodes.map((node) => endpointOf(node, protocol, debug));
  return [{ address: name, node: undefined, protocol, call: { ...call, ...debug } }];
}

/** The endpoint of a node. */
export function endpointOf(node: Node, protocol: Protocol, debug: DebugCall): Endpoint {
  const filters = [({ id }: Node) => id === node.id];
  return {
    address: node.address,
    node,
    protocol,
    call: { service: node.service, filters, ...debug },
  };
}

/** All registered processes, each once, regardless of the number of its services. */
export async function allEndpoints(
  registry: Registry,
  debug: DebugCall,
  signal: AbortSignal,
): Promise<readonly Endpoint[]> {
  const endpoints = new Map<string, Endpoint>();
  for (const name of await registry.list({ signal })) {
    if (name.startsWith("micro.")) continue;
    for (const node of await registry.get(name, { signal })) {
      if (!endpoints.has(node.address))
        endpoints.set(node.address, endpointOf(node, "grpc", debug));
    }
  }
  return [...endpoints.values()];
}

/** The error of a debug request, with what to do about it. */
export function debugFailure(address: string, reason: unknown): MicroError {
  const error = asMicroError(reason);
  if (error.code !== "unimplemented") return error;
  return new MicroError(
    "unimplemented",
    `${address} exposes no debug service; add createService({ debug: debugService() }), with debugService from @micro-es/runtime/debug`,
    { cause: reason },
  );
}
