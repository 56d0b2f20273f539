import { Buffer } from "node:buffer";
import type { Node } from "@micro-es/runtime";
import { decodeGoMicroService, type NodeRecord } from "@micro-es/runtime/driver";

/*
 * A node is stored in the znode of go-micro's ZooKeeper registry, `<root>/<service>/<node id>`, and
 * in its format: a service in JSON with one node. Go ignores unknown members; ours is `MicroES`.
 * Go fails to read a service that has a child with anything else, so there is nothing else.
 */

/** The znode whose children are the nodes of a service. */
export function serviceRoot(root: string, service: string): string {
  return `${root}/${service}`;
}

/** The znode of a node. go-micro's ids stay as they are. */
export function pathOf(root: string, { service, id }: Node): string {
  const encoded = id.replace(/[%/]/g, (char) => (char === "/" ? "%2F" : "%25"));
  const name = encoded.replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%2E"));
  return `${serviceRoot(root, service)}/${name}`;
}

export function encodeRecord({ node, ttlMs, owner }: NodeRecord): Uint8Array {
  const { id, service, version, address, metadata, endpoints } = node;
  return Buffer.from(
    JSON.stringify({
      name: service,
      version,
      metadata: null,
      endpoints: endpoints.map(({ name, metadata }) => ({
        request: null,
        response: null,
        metadata,
        name,
      })),
      nodes: [{ metadata, id, address }],
      MicroES: { ttlMs, owner },
    }),
  );
}

/**
 * Parses a record, whoever wrote it.
 * @throws Error when it is not the record of a node, or belongs to another znode.
 */
export function decodeRecord(root: string, path: string, data: Uint8Array): NodeRecord {
  const record = decodeGoMicroService(data);
  const { node } = record;
  // go-micro replaces slashes with dashes.
  const goPath = `${serviceRoot(root, node.service)}/${node.id.replaceAll("/", "-")}`;
  if (path !== pathOf(root, node) && path !== goPath) {
    throw new RangeError(`the record of ${node.id}`);
  }
  return record;
}
