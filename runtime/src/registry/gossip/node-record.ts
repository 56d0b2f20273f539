import { networkInterfaces } from "node:os";
import { parseAddress } from "../../base/address.ts";
import { isLocalAddress } from "../../base/local-address.ts";
import type { Node } from "../registry.ts";
import { validateNode } from "../validate.ts";
import { MalformedMessage } from "./byte-reader.ts";
import { canonicalIp } from "./seeds.ts";

/** Maximum size of a record: the largest node, with every character of it escaped. */
const maxRecordBytes = 256 * 1024;

/** A node as a member publishes it. */
export interface NodeRecord {
  /** Grows with each registration of the id, on all members that know of the earlier one. */
  readonly revision: number;
  readonly node: Node;
}

export function keyOf({ service, id }: Pick<Node, "service" | "id">): string {
  return `${service}/${id}`;
}

export function encodeRecord({ revision, node }: NodeRecord): Buffer {
  return Buffer.from(JSON.stringify({ revision, node }));
}

/** @throws MicroError `invalid_argument`, MalformedMessage or SyntaxError. */
export function decodeRecord(key: string, bytes: Uint8Array): NodeRecord {
  if (bytes.length > maxRecordBytes)
    throw new MalformedMessage(`a record of ${bytes.length} bytes`);
  const value: unknown = JSON.parse(Buffer.from(bytes).toString());
  const { revision, node } = (value ?? {}) as { revision?: unknown; node?: unknown };
  if (typeof revision !== "number" || !Number.isSafeInteger(revision) || revision < 0) {
    throw new MalformedMessage("a record without a revision");
  }
  const valid = validateNode(node as Node);
  if (keyOf(valid) !== key) throw new MalformedMessage("a record under the key of another");
  return { revision, node: valid };
}

/**
 * The policy for the addresses in records of other members, who all have the key: those that only
 * their own machine can reach are accepted from this machine alone, and `memory:` never.
 */
export function allowMemberAddress(address: string, source: { readonly local: boolean }): boolean {
  if (parseAddress(address).kind === "memory") return false;
  return source.local || !isLocalAddress(address);
}

/** Whether an address is one of this machine. */
export function isOwnAddress(host: string): boolean {
  if (isLocalAddress(host.includes(":") ? `[${host}]:1` : `${host}:1`)) return true;
  return Object.values(networkInterfaces()).some((infos) =>
    infos?.some(({ address }) => canonicalIp(address) === host),
  );
}
