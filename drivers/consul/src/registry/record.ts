import { MicroError, type Node } from "@micro-es/runtime";
import {
  defaultTtlMs,
  goMicroTtlMs,
  type NodeRecord,
  validateNode,
  validateTtl,
} from "@micro-es/runtime/driver";
import { decodeTags, encodeTags, hasVersion } from "./tags.ts";

/*
 * A node is a service of the agent in go-micro's format: its id, name, address and port, and tags.
 * go-micro does not read the service's `Meta`, so what only we need is there.
 */

/** A service as Consul lists it, whatever it contains. */
export interface ConsulService {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, unknown>>;
}

/** The longest value in `Meta` that Consul takes. */
const maxMetaLength = 512;
/** Consul deregisters what has been critical for this long, and takes no shorter time. */
const forgetSeconds = 65;
/**
 * The id of the service in Consul. go-micro's ids stay as they are. Paths of Consul's API end with
 * it, whose slashes and dots its server normalizes; its filters have it in quotes.
 */
export function serviceIdOf(id: string): string {
  return id
    .replace(/[%/"\\]/g, encodeURIComponent)
    .replace(/^\.+$/, (dots) => dots.replaceAll(".", "%2E"));
}

/** The check that an owner renews; another owner of the id has another one. */
export function checkIdOf(id: string, owner: string): string {
  return `service:${serviceIdOf(id)}:${owner}`;
}

/**
 * The body of a registration.
 * @throws MicroError `invalid_argument` for an address that Consul cannot have.
 */
export function encodeRegistration({ node, ttlMs, owner }: NodeRecord): object {
  const { id, service, version, address, metadata, endpoints } = node;
  const host = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(address);
  if (address.length > maxMetaLength) {
    throw new MicroError(
      "invalid_argument",
      `Consul takes addresses of up to ${maxMetaLength} characters; that of ${id} has ${address.length}`,
      { outcome: "not-executed" },
    );
  }
  return {
    ID: serviceIdOf(id),
    Name: service,
    Address: host === null ? address : (host[1] ?? host[2]),
    Port: host === null ? 0 : Number(host[3]),
    Tags: encodeTags(version, metadata, endpoints),
    Meta: {
      micro_id: id,
      micro_owner: owner,
      micro_ttl: `${ttlMs}`,
      ...(host === null ? { micro_address: address } : {}),
    },
    Check: {
      CheckID: checkIdOf(id, owner),
      Name: `ttl of ${service}`,
      TTL: `${ttlMs}ms`,
      // Without it a check begins critical.
      Status: "passing",
      DeregisterCriticalServiceAfter: `${Math.max(forgetSeconds, Math.ceil(ttlMs / 1_000) + 5)}s`,
    },
  };
}

/**
 * Reads a service as a node, whoever registered it; undefined for other services.
 * @throws Error when it should be a node, and is not a valid one.
 */
export function decodeService(found: ConsulService): NodeRecord | undefined {
  if (!hasVersion(found.tags)) return undefined;
  const { micro_id, micro_owner, micro_ttl, micro_address } = found.meta;
  const { version, metadata, endpoints } = decodeTags(found.tags);
  const id = typeof micro_id === "string" ? micro_id : found.id;
  const isOurs = typeof micro_owner === "string" && micro_owner !== "";
  const node = validateNode({
    id,
    service: found.name,
    version,
    address: typeof micro_address === "string" ? micro_address : hostAndPort(found),
    metadata,
    endpoints,
  } as unknown as Node);
  if (micro_id !== undefined && serviceIdOf(id) !== found.id) {
    throw new RangeError(`the record of ${id.slice(0, 255)}`);
  }
  if (!isOurs) return { node, ttlMs: goMicroTtlMs, owner: "" };
  return { node, ttlMs: validateTtl(Number(micro_ttl ?? defaultTtlMs)), owner: micro_owner };
}

function hostAndPort({ address, port }: ConsulService): string {
  const isBare = address.includes(":") && !address.startsWith("[");
  return `${isBare ? `[${address}]` : address}:${port}`;
}
