import { Buffer } from "node:buffer";
import type { Node } from "@micro-es/runtime";
import { maxNodeBytes, type NodeRecord, validateNode, validateTtl } from "@micro-es/runtime/driver";
import { encodeToken } from "../link/token.ts";

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
 * Decodes a record, whoever wrote it.
 * @throws MicroError or SyntaxError when it is not valid, or has another key than its own.
 */
export function decodeRecord(key: string, bytes: Uint8Array): NodeRecord {
  if (bytes.length > maxRecordBytes) throw new RangeError(`a record of ${bytes.length} bytes`);
  const found = JSON.parse(Buffer.from(bytes).toString()) as Partial<NodeRecord> | null;
  const node = validateNode(found?.node as Node);
  if (keyOf(node) !== key) throw new RangeError(`the record of ${node.id} is stored under ${key}`);
  const owner = typeof found?.owner === "string" ? found.owner : "";
  return { node, ttlMs: validateTtl(found?.ttlMs ?? Number.NaN), owner };
}
