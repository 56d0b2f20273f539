import { deflateSync, inflateSync } from "node:zlib";

import type { Endpoint, Node } from "../registry.ts";

/** What a record says beyond go-micro's members; go-micro ignores members that it does not know. */
export interface Marker {
  /** The node is announced again within this time for as long as it lives. */
  readonly ttlMs: number;
  /** Grows with each registration of the id, so that what an earlier one left behind is recognized. */
  readonly revision: number;
  /** The node's id where it is not the record's name. */
  readonly id?: string;
  /** The node's address where it is no IP address and port. */
  readonly address?: string;
}

/** The content of a TXT record. */
export interface Text {
  readonly service: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
  /** Undefined in the records of go-micro. */
  readonly marker: Marker | undefined;
}

/** How much an unpacked record may measure: go-micro describes the types of every endpoint in it. */
const maxTextBytes = 512 * 1024;
const stringLength = 255;

/**
 * The character-strings of a node's TXT record as go-micro writes it: a JSON object with capitalised
 * members, compressed with zlib, as lower-case hexadecimal digits in strings of 255 (go-micro
 * registry/mdns_registry.go). Endpoints are go-micro's own, without a description of their types.
 */
export function encodeText(node: Node, endpoints: readonly Endpoint[], marker: Marker): Buffer[] {
  const json = JSON.stringify({
    Metadata: node.metadata,
    Service: node.service,
    Version: node.version,
    Endpoints: endpoints.map(({ name, metadata }) => ({
      name,
      request: null,
      response: null,
      metadata,
    })),
    MicroES: marker,
  });
  const hex = Buffer.from(deflateSync(json).toString("hex"), "latin1");
  const strings: Buffer[] = [];
  for (let at = 0; at < hex.length; at += stringLength) {
    strings.push(hex.subarray(at, at + stringLength));
  }
  return strings;
}

/**
 * Reads what {@link encodeText} or go-micro wrote. The values are as they came; the node made from them is
 * still to be validated.
 *
 * @throws Error for bytes that are no such record, or one that unpacks to more than 512 KiB.
 */
export function decodeText(hex: Buffer): Text {
  const packed = Buffer.from(hex.toString("latin1"), "hex");
  const json: unknown = JSON.parse(
    inflateSync(packed, { maxOutputLength: maxTextBytes }).toString("utf8"),
  );
  const record = members(json);
  return {
    service: text(record.Service),
    version: text(record.Version),
    metadata: texts(record.Metadata),
    endpoints: list(record.Endpoints).map((each) => {
      const endpoint = members(each);
      return { name: text(endpoint.name), metadata: texts(endpoint.metadata) };
    }),
    marker: record.MicroES === undefined ? undefined : readMarker(members(record.MicroES)),
  };
}

function readMarker(marker: Readonly<Record<string, unknown>>): Marker {
  const { ttlMs, revision, id, address } = marker;
  if (typeof ttlMs !== "number" || typeof revision !== "number" || !(ttlMs > 0)) {
    throw new TypeError("the record's MicroES member needs ttlMs and revision");
  }
  return {
    ttlMs,
    revision,
    ...(id === undefined ? {} : { id: text(id) }),
    ...(address === undefined ? {} : { address: text(address) }),
  };
}

function members(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw new TypeError("not an object");
  return value as Readonly<Record<string, unknown>>;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("not text");
  return value;
}

/** Go writes a nil map as null. */
function texts(value: unknown): Readonly<Record<string, string>> {
  return (value ?? {}) as Readonly<Record<string, string>>;
}

function list(value: unknown): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new TypeError("not a list");
  return value;
}
