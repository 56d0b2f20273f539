import { Buffer } from "node:buffer";
import type { Node } from "@micro-es/runtime";
import { goMicroEndpoints, maxNodesPerService, validateNode } from "@micro-es/runtime/driver";
/*
 * go-micro's NATS registry: every process replies to a query `{"Service":…,"Action":"get"|"list"}`
 * with one message for each of its nodes, a Service in JSON; changes are announced as
 * `{"Service":…,"Action":"create"|"delete"}`. Go ignores unknown members, and we add two to a node:
 * `ttl`, its validity in milliseconds, and `owner`, which distinguishes registrations of the same
 * id.
 */

/** A node received in a message. */
export interface HeardNode {
  readonly node: Node;
  /** Undefined for go-micro's nodes, which have to be queried again. */
  readonly ttlMs: number | undefined;
  readonly owner: string;
}

/** A query or an announced change. */
export interface HeardResult {
  readonly action: string;
  /** The name of the service; "" for all. */
  readonly service: string;
  readonly nodes: readonly HeardNode[];
}

const maxMessageBytes = 1024 * 1024;

export function encodeService({ node, ttlMs, owner }: HeardNode): object {
  return {
    name: node.service,
    version: node.version,
    metadata: null,
    endpoints: node.endpoints.map(({ name, metadata }) => ({
      name,
      request: null,
      response: null,
      metadata,
    })),
    nodes: [
      {
        id: node.id,
        address: node.address.replace(/^nats:/, ""),
        metadata: node.metadata,
        ttl: ttlMs,
        owner,
      },
    ],
  };
}

export function encodeResult(action: string, service: object | null): Uint8Array {
  return Buffer.from(JSON.stringify({ Service: service, Action: action }));
}

export function queryFor(service: string): Uint8Array {
  const asked = { name: service, version: "", metadata: null, endpoints: null, nodes: null };
  return encodeResult("get", asked);
}

/** Decodes a query or a change. @throws Error when it is not valid. */
export function decodeResult(data: Uint8Array): HeardResult {
  const found = parse(data);
  const action = member(found, "Action");
  const service = member(found, "Service");
  const name = isObject(service) ? member(service, "name") : "";
  return {
    action: typeof action === "string" ? action : "",
    service: typeof name === "string" ? name : "",
    nodes: isObject(service) ? nodesOf(service) : [],
  };
}

/** Decodes a reply. @throws Error when it is not valid. */
export function decodeResponse(data: Uint8Array): readonly HeardNode[] {
  return nodesOf(parse(data));
}

/** The usable nodes of a service; others are skipped. */
function nodesOf(service: Record<string, unknown>): readonly HeardNode[] {
  const nodes = service.nodes;
  if (!Array.isArray(nodes)) return [];
  return nodes.slice(0, maxNodesPerService).flatMap((found: unknown) => {
    if (!isObject(found)) return [];
    try {
      const node = validateNode({
        id: found.id,
        service: service.name,
        version: service.version ?? "",
        address: addressOf(found),
        metadata: found.metadata ?? {},
        endpoints: goMicroEndpoints(service.endpoints),
      } as unknown as Node);
      const ttlMs = typeof found.ttl === "number" && found.ttl > 0 ? found.ttl : undefined;
      const owner = typeof found.owner === "string" ? found.owner : "";
      return [{ node, ttlMs, owner }];
    } catch {
      return [];
    }
  });
}

/** The address of a go-micro NATS transport is a subject, which only the metadata reveals. */
function addressOf({ address, metadata }: Record<string, unknown>): unknown {
  const onNats = isObject(metadata) && metadata.transport === "nats";
  return onNats && typeof address === "string" ? `nats:${address}` : address;
}

function parse(data: Uint8Array): Record<string, unknown> {
  if (data.length > maxMessageBytes) throw new RangeError(`a message of ${data.length} bytes`);
  const found: unknown = JSON.parse(Buffer.from(data).toString());
  if (!isObject(found)) throw new TypeError("not an object");
  return found;
}

/** Go's decoder accepts member names in any case. */
function member(object: Record<string, unknown>, name: string): unknown {
  const key = Object.keys(object).find((each) => each.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : object[key];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
