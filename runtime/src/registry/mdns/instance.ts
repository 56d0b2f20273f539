import { createHash } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIPv4, isIPv6 } from "node:net";
import { hostname } from "node:os";

import { parseAddress } from "../../base/address.ts";
import { MicroError } from "../../base/error.ts";
import type { Endpoint, Node } from "../registry.ts";
import { validateNode } from "../validate.ts";
import { encodeAnnouncement, type Instance } from "./packet.ts";
import type { SeenInstance } from "./read-packet.ts";
import { encodeText, type Marker, type Text } from "./txt-record.ts";

/** RFC 6762 allows 9,000 bytes with headers; some systems limit a datagram to that size as well. */
export const maxPacketBytes = 8_800;

const longestLabel = 63;
/** A DNS name has at most 255 bytes on the wire, so 253 characters. */
const longestName = 253;

/** A node as DNS records. */
export interface FittedInstance {
  readonly instance: Instance;
  /** Describes what was omitted so that the records fit into one packet. */
  readonly dropped: string | undefined;
}

/**
 * The records of a node. A host name in its address is resolved, because the records contain an IP
 * address.
 *
 * @throws MicroError `invalid_argument` when the node does not fit into one packet, has a `memory:`
 * address, an address on a backend or a host that does not resolve.
 */
export async function toInstance(
  node: Node,
  domain: string,
  lease: { readonly ttlMs: number; readonly revision: number },
): Promise<FittedInstance> {
  const service = `${node.service}.${domain}`;
  const name = `${node.id}.${service}`;
  const named = isName(name) ? undefined : { id: node.id };
  const place = await locate(node);
  const { address, ...records } = place;
  const marker: Marker = { ...lease, ...named, ...(address === undefined ? {} : { address }) };
  for (const { dropped, endpoints } of reductions(node.endpoints)) {
    const instance: Instance = {
      service,
      name: named === undefined ? name : `${shortName(node.id)}.${service}`,
      target: machineName(),
      ...records,
      text: encodeText(node, endpoints, marker),
    };
    // A reply adds the question and a pointer to the announcement.
    const size = encodeAnnouncement(instance).length + 3 * longestName;
    if (size <= maxPacketBytes) return { instance, dropped };
  }
  throw refused(node, `its metadata does not fit into a packet of ${maxPacketBytes} bytes`);
}

/** The record of a service's name in the list of services; its values are go-micro's. */
export function toListed(service: string, domain: string): Instance {
  return {
    service: `_services.${domain}`,
    name: `${service}._services.${domain}`,
    target: machineName(),
    port: 9_999,
    ipv4: "0.0.0.0",
    ipv6: undefined,
    text: [],
  };
}

/**
 * The node described by the records.
 *
 * @throws MicroError `invalid_argument` when it is not a valid one.
 */
export function toNode(seen: SeenInstance, text: Text, domain: string): Node {
  const { service, version, metadata, endpoints, marker } = text;
  const suffix = `.${service}.${domain}`;
  if (!seen.name.endsWith(suffix)) {
    throw new MicroError("invalid_argument", `record ${seen.name} says it is of ${service}`);
  }
  if (marker?.id !== undefined && seen.name !== `${shortName(marker.id)}${suffix}`) {
    throw new MicroError("invalid_argument", `record ${seen.name} takes the id of another node`);
  }
  const host = seen.host?.includes(":") ? `[${seen.host}]` : seen.host;
  return validateNode({
    id: marker?.id ?? seen.name.slice(0, -suffix.length),
    service,
    version,
    address: marker?.address ?? `${host ?? ""}:${seen.port}`,
    metadata,
    endpoints,
  });
}

async function locate(node: Node): Promise<{
  readonly port: number;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly address?: string;
}> {
  const address = parseAddress(node.address);
  if (address.kind === "memory") {
    throw refused(
      node,
      "other processes cannot reach a memory: address; use memoryRegistry for it",
    );
  }
  if (address.kind === "backend") {
    throw refused(
      node,
      `only what is connected to the backend reaches a ${address.scheme}: address; use the registry of its driver`,
    );
  }
  if (address.kind === "unix") {
    return { port: 0, ipv4: undefined, ipv6: undefined, address: node.address };
  }
  const { port } = address;
  let { host } = address;
  if (!isIPv4(host) && !isIPv6(host)) {
    try {
      host = (await lookup(host)).address;
    } catch (cause) {
      throw refused(node, `${host} does not resolve to an IP address`, cause);
    }
  }
  return isIPv4(host)
    ? { port, ipv4: host, ipv6: undefined }
    : { port, ipv4: undefined, ipv6: host.split("%")[0] };
}

/** Descriptions of the endpoints, from complete to empty. */
function* reductions(
  endpoints: readonly Endpoint[],
): Generator<{ dropped: string | undefined; endpoints: readonly Endpoint[] }> {
  yield { dropped: undefined, endpoints };
  yield {
    dropped: "long endpoint metadata",
    endpoints: endpoints.map(({ name, metadata }) => ({
      name,
      metadata: Object.fromEntries(
        Object.entries(metadata).filter(([, { length }]) => length < 64),
      ),
    })),
  };
  yield {
    dropped: "endpoint metadata",
    endpoints: endpoints.map(({ name }) => ({ name, metadata: {} })),
  };
  yield { dropped: "endpoints", endpoints: [] };
}

function isName(name: string): boolean {
  return (
    name.length <= longestName &&
    name.split(".").every((label) => label.length > 0 && label.length <= longestLabel)
  );
}

function shortName(id: string): string {
  return createHash("sha256").update(id).digest("hex").slice(0, 32);
}

function machineName(): string {
  const name = hostname();
  return isName(name) && /^[\w.-]+$/.test(name) ? name : "localhost";
}

function refused(node: Node, reason: string, cause?: unknown): MicroError {
  return new MicroError(
    "invalid_argument",
    `cannot register ${node.id} at ${node.address} with multicast DNS: ${reason}`,
    { outcome: "not-executed", cause },
  );
}
