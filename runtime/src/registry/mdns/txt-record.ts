import { deflateSync, inflateSync } from "node:zlib";

import { checkJsonElements } from "../../codec/json-elements.ts";
import type { Endpoint, Node } from "../registry.ts";

/** What a record contains in addition to go-micro's members; go-micro ignores unknown members. */
export interface Marker {
  /** The node is announced again within this time as long as it lives. */
  readonly ttlMs: number;
  /** Grows with each registration of the id, so that leftovers of an earlier one are recognized. */
  readonly revision: number;
  /** The node's id if it differs from the record's name. */
  readonly id?: string;
  /** The node's address if it is not an IP address and port. */
  readonly address?: string;
}

/** The content of a TXT record. */
export interface Text {
  readonly service: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
  /** Its unpacked size. */
  readonly bytes: number;
  /** Undefined in the records of go-micro. */
  readonly marker: Marker | undefined;
}

/**
 * How much a record may grow per byte when unpacked. go-micro describes the types of every endpoint
 * in it; with a hundred endpoints, one byte becomes 50 bytes and 10 values.
 */
const mostGrowth = { bytes: 64, values: 16 } as const;
/** The limits for small records. */
const leastGrowth = { bytes: 4 * 1024, values: 512 } as const;
const maxTextBytes = 512 * 1024;
const stringLength = 255;
/** Revisions are timestamps; the clocks of machines on one link differ by less than a day. */
const mostClockSkewMs = 24 * 3_600_000;

/**
 * Encodes the character-strings of a node's TXT record as go-micro writes it: a JSON object with
 * capitalised members, compressed with zlib, as lower-case hexadecimal digits in strings of 255
 * (go-micro registry/mdns_registry.go). Endpoints have go-micro's form, without a description of
 * their types.
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
 * Decodes the output of {@link encodeText} or go-micro. The values are returned unchecked; the node
 * built from them must still be validated.
 *
 * @throws Error for bytes that are not such a record, and for a record that grows too much when
 * unpacked.
 */
export function decodeText(hex: Buffer): Text {
  const packed = Buffer.from(hex.toString("latin1"), "hex");
  const json = inflateSync(packed, { maxOutputLength: mostUnpackedBytes(hex) });
  const mostValues = leastGrowth.values + mostGrowth.values * packed.length;
  checkJsonElements(json, mostValues, "the record");
  const record = members(JSON.parse(json.toString("utf8")));
  return {
    bytes: json.length,
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

/** The maximum number of bytes that {@link decodeText} unpacks from a record. */
export function mostUnpackedBytes(hex: Buffer): number {
  return Math.min(maxTextBytes, leastGrowth.bytes + (mostGrowth.bytes * hex.length) / 2);
}

function readMarker(marker: Readonly<Record<string, unknown>>): Marker {
  const { ttlMs, revision, id, address } = marker;
  if (typeof ttlMs !== "number" || typeof revision !== "number" || !(ttlMs > 0)) {
    throw new TypeError("the record's MicroES member needs ttlMs and revision");
  }
  // A record from the far future could never be replaced.
  if (revision > Date.now() + mostClockSkewMs)
    throw new RangeError("the revision is in the future");
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
