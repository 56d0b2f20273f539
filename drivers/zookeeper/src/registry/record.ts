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
 * A node is stored in the znode of go-micro's ZooKeeper registry, `<root>/<service>/<node id>`, and
 * in its format: a service in JSON with one node. Go ignores unknown members; ours is `MicroES`.
 * Go fails to read a service that has a child with anything else, so there is nothing else.
 */

/** The largest record that is read, in bytes: JSON writes some characters as six. */
const maxRecordBytes = 6 * maxNodeBytes + 8 * 1024;

/** go-micro registers again at this interval at the latest. */
const goMicroTtlMs = 35_000;

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
  if (data.length > maxRecordBytes) throw new RangeError(`a record of ${data.length} bytes`);
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
    endpoints: endpointsOf(service.endpoints),
  } as unknown as Node);
  // go-micro replaces slashes with dashes.
  const goPath = `${serviceRoot(root, node.service)}/${node.id.replaceAll("/", "-")}`;
  if (path !== pathOf(root, node) && path !== goPath) {
    throw new RangeError(`the record of ${node.id}`);
  }
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
