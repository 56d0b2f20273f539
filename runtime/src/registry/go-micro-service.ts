import { Buffer } from "node:buffer";
import type { NodeRecord } from "./node-backend.ts";
import { defaultTtlMs, maxNodeBytes, type Node } from "./registry.ts";
import { validateNode, validateTtl } from "./validate.ts";

/**
 * The time that go-micro's nodes are given to come back once a backend has lost them, in
 * milliseconds: they register again at least every 30 s.
 */
export const goMicroTtlMs = 35_000;

/** The largest service that is read, in bytes: JSON writes some characters as six. */
const maxServiceBytes = 6 * maxNodeBytes + 8 * 1024;

/**
 * Reads a service with one node in go-micro's JSON, whoever wrote it. Go ignores unknown members;
 * ours is `MicroES`, with the ttl and the owner.
 * @throws Error when it is not the service of a valid node.
 */
export function decodeGoMicroService(data: Uint8Array): NodeRecord {
  if (data.length > maxServiceBytes) throw new RangeError(`a record of ${data.length} bytes`);
  const service: unknown = JSON.parse(Buffer.from(data).toString());
  if (!isObject(service)) throw new TypeError("not an object");
  const { nodes } = service;
  if (!Array.isArray(nodes) || nodes.length !== 1 || !isObject(nodes[0])) {
    throw new TypeError("not a record of one node");
  }
  const [{ id, address, metadata }] = nodes;
  const node = validateNode({
    id,
    service: service.name,
    version: service.version ?? "",
    address,
    metadata: metadata ?? {},
    endpoints: goMicroEndpoints(service.endpoints),
  } as unknown as Node);
  if (!isObject(service.MicroES)) return { node, ttlMs: goMicroTtlMs, owner: "" };
  const { ttlMs = defaultTtlMs, owner } = service.MicroES;
  return {
    node,
    ttlMs: validateTtl(ttlMs as number),
    owner: typeof owner === "string" ? owner : "",
  };
}

/** The endpoints of a service in go-micro's JSON, to be validated with its node. */
export function goMicroEndpoints(endpoints: unknown): readonly object[] {
  if (!Array.isArray(endpoints)) return [];
  return endpoints.map((each: unknown) => {
    const { name, metadata } = isObject(each) ? each : {};
    return { name, metadata: metadata ?? {} };
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
