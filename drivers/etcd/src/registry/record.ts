import { Buffer } from "node:buffer";
import type { Node } from "@micro-es/runtime";
import { decodeGoMicroService, type NodeRecord } from "@micro-es/runtime/driver";

/*
 * A node is stored under the key of go-micro's etcd registry, `<prefix>/<service>/<node id>`, and
 * in its format: a service in JSON with one node. Go ignores unknown members; ours is `MicroES`.
 */

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
  const record = decodeGoMicroService(bytes);
  const { node } = record;
  // go-micro replaces slashes with dashes.
  const goKey = nodesPrefix(prefix, node.service) + node.id.replaceAll("/", "-");
  if (key !== keyOf(prefix, node) && key !== goKey)
    throw new RangeError(`the record of ${node.id}`);
  return record;
}
