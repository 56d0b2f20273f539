import { Buffer } from "node:buffer";
import { encodeToken } from "../../nats/token.ts";
import { maxNodeBytes, type Node } from "../registry.ts";
import { validateNode, validateTtl } from "../validate.ts";

/** What stands in the bucket for a node. */
export interface NodeRecord {
  readonly node: Node;
  readonly ttlMs: number;
  /** Tells one registration of an id from the next. */
  readonly owner: string;
}

/** The largest record that is read, in bytes: JSON writes some characters as six. */
const maxRecordBytes = 6 * maxNodeBytes + 8 * 1024;

/** The keys of a service's nodes. */
export function keysOf(service: string): string {
  return `${encodeToken(service)}.*`;
}

export function keyOf(node: Node): string {
  return `${encodeToken(node.service)}.${encodeToken(node.id)}`;
}

export function encodeRecord(record: NodeRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/**
 * Reads a record, whoever wrote it.
 * @throws MicroError or SyntaxError when it is none, or stands under another key than its own.
 */
export function decodeRecord(key: string, bytes: Uint8Array): NodeRecord {
  if (bytes.length > maxRecordBytes) throw new RangeError(`a record of ${bytes.length} bytes`);
  const found = JSON.parse(Buffer.from(bytes).toString()) as Partial<NodeRecord> | null;
  const node = validateNode(found?.node as Node);
  if (keyOf(node) !== key) throw new RangeError(`the record of ${node.id} stands under ${key}`);
  const owner = typeof found?.owner === "string" ? found.owner : "";
  return { node, ttlMs: validateTtl(found?.ttlMs ?? Number.NaN), owner };
}
