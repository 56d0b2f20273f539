import { Buffer } from "node:buffer";
import type { Node } from "@micro-es/runtime";
import {
  defaultTtlMs,
  maxNodeBytes,
  type NodeRecord,
  validateNode,
  validateTtl,
} from "@micro-es/runtime/driver";

/*
 * A node is stored under the key of go-micro's etcd registry, `<prefix>/<service>/<node id>`, and
 * in its format: a service in JSON with one node. Go ignores unknown members; ours is `MicroES`.
 */

/** The largest record that is read, in bytes: JSON writes some characters as six. */
const maxRecordBytes = 6 * maxNodeBytes + 8 * 1024;

/**
 * go-micro renews at this interval, so one of its nodes may take that long to come back after a
 * lost lease.
 */
const goMicroTtlMs = 35_000;

/** The keys of all services. */
export function servicesPrefix(prefix: string): string {
  return `${prefix}/`;
}

/** The keys of a service's nodes. */
export function nodesPrefix(prefix: string, service: string): string {
  return `${prefix}/${service}/`;
}

/**
 * The key of a node. go-micro's ids stay as they are; a slash would end the name of the service.
 */
export function keyOf(prefix: string, { service, id }: Node): string {
  const encoded = id.replace(/[%/]/g, (char) => (char === "/" ? "%2F" : "%25"));
  return (
    nodesPrefix(prefix, service) + encoded.replace(/^\.+$/, (dots) => dots.replaceAll(".", "%2E"))
  );
}

/** The name of the service that a key belongs to; undefined if it is not the key of a node. */
export function serviceOf(prefix: string, key: string): string | undefined {
  const [service, id, ...rest] = key.slice(servicesPrefix(prefix).length).split("/");
  return service !== "" && id !== undefined && id !== "" && rest.length === 0 ? service : undefined;
}

export function encodeRecord({ node, ttlMs, owner }: NodeRecord): Uint8Array {
  const { id, service, version, address, metadata, endpoints } = node;
  return Buffer.from(
    JSON.stringify({
      name: service,
      version,
      metadata: null,
      endpoints: endpoints.map((each) => ({ ...each, request: null, response: null })),
      nodes: [{ id, address, metadata }],
      MicroES: { ttlMs, owner },
    }),
  );
}

/**
 * Parses a record, whoever wrote it.
 * @throws Error when it is not the record of a node, or belongs under another key.
 */
export function decodeRecord(prefix: string, key: string, bytes: Uint8Array): NodeRecord {
  if (bytes.length > maxRecordBytes) throw new RangeError(`a record of ${bytes.length} bytes`);
  const service: unknown = JSON.parse(Buffer.from(bytes).toString());
  if (!isObject(service)) throw new TypeError("not an object");
  const nodes = service.nodes;
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
    endpoints: endpointsOf(service.endpoints),
  } as unknown as Node);
  // go-micro replaces slashes with dashes.
  const goKey = nodesPrefix(prefix, node.service) + node.id.replaceAll("/", "-");
  if (key !== keyOf(prefix, node) && key !== goKey)
    throw new RangeError(`the record of ${node.id}`);
  if (!isObject(service.MicroES)) return { node, ttlMs: goMicroTtlMs, owner: "" };
  const { ttlMs = defaultTtlMs, owner } = service.MicroES;
  return {
    node,
    ttlMs: validateTtl(ttlMs as number),
    owner: typeof owner === "string" ? owner : "",
  };
}

function endpointsOf(endpoints: unknown): unknown {
  if (!Array.isArray(endpoints)) return [];
  return endpoints.map((each: unknown) => {
    const { name, metadata } = isObject(each) ? each : {};
    return { name, metadata: metadata ?? {} };
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
