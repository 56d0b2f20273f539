import { type Address, parseAddress } from "../base/address.ts";
import { isUndialable } from "../base/dialable-address.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import { isUnspecified } from "./link-address.ts";
import {
  defaultTtlMs,
  type Endpoint,
  maxNodeBytes,
  maxNodeEndpoints,
  type Node,
} from "./registry.ts";

/** Maximum number of metadata entries of a node, and of each of its endpoints. */
export const maxNodeMetadataEntries = 128;

const servicePattern = /^[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*$/;
const visible = /^[!-~]*$/;
const keyPattern = /^[!-~](?:[ -~]*[!-~])?$/;
const controls = /\p{Cc}/u;
/**
 * An endpoint's metadata may contain a multi-line description (go-micro takes it from doc
 * comments).
 */
const controlsButLines = /(?![\t\n\r])\p{Cc}/u;

/** Minimum time to live of a registration, in milliseconds. */
export const shortestTtlMs = 100;
export const longestTtlMs: number = 24 * 60 * 60 * 1_000;

/**
 * Validates a record and returns a frozen copy that has the fields of {@link Node} and nothing
 * else. Every registry applies it to registrations and to all records from outside.
 *
 * @throws MicroError `invalid_argument` that names the field; a record over {@link maxNodeBytes} is
 * also `invalid_argument`, never `resource_exhausted`.
 */
export function validateNode(node: Node): Node {
  if (typeof node !== "object" || node === null) throw refused("node", "must be an object");
  const { id, version } = node;
  const service = validateServiceName(node.service);
  if (typeof id !== "string" || id.length < 1 || id.length > 255 || !visible.test(id)) {
    throw refused("id", "must be 1 to 255 visible ASCII characters without spaces", id);
  }
  if (typeof version !== "string" || version.length > 128 || !visible.test(version)) {
    throw refused(
      "version",
      "must be at most 128 visible ASCII characters without spaces",
      version,
    );
  }
  if (typeof node.address !== "string") throw refused("address", "must be text", node.address);
  checkAddress(node.address);
  const budget = { left: maxNodeBytes - service.length - id.length - version.length };
  spend(budget, node.address);
  const metadata = copyMetadata("metadata", node.metadata, controls, budget);
  return Object.freeze({
    id,
    service,
    version,
    address: node.address,
    metadata,
    endpoints: copyEndpoints(node.endpoints, budget),
  });
}

/**
 * Validates the name of a service: labels of letters, digits, `_` and `-` of at most 63 characters,
 * separated by dots, 128 characters in total, so that it is valid in every backend.
 *
 * @throws MicroError `invalid_argument`.
 */
export function validateServiceName(service: string): string {
  if (!isServiceName(service)) {
    throw refused(
      "service",
      'must be at most 128 of A-Z, a-z, 0-9, "-" and "_", with dots between labels of at most 63',
      service,
    );
  }
  return service;
}

/** Whether {@link validateServiceName} accepts a name. */
export function isServiceName(service: unknown): service is string {
  return (
    typeof service === "string" &&
    service.length <= 128 &&
    servicePattern.test(service) &&
    service.split(".").every((each) => each.length <= 63)
  );
}

/**
 * Validates the time to live of a registration.
 *
 * @throws MicroError `invalid_argument` when it is not 100 ms to 24 hours.
 */
export function validateTtl(ttlMs: number = defaultTtlMs): number {
  if (!(ttlMs >= shortestTtlMs && ttlMs <= longestTtlMs)) {
    throw refused("ttlMs", `must be ${shortestTtlMs} to ${longestTtlMs} milliseconds`, ttlMs);
  }
  return ttlMs;
}

function checkAddress(text: string): void {
  let address: Address;
  try {
    address = parseAddress(text);
  } catch (reason) {
    throw refused("address", asMicroError(reason).message, undefined, reason);
  }
  if (address.kind === "host") {
    if (address.port === 0) throw refused("address", "must have a port from 1 to 65535", text);
    if (isUnspecified(address.host)) {
      throw refused("address", "must be one that others can dial, not a wildcard", text);
    }
    if (isUndialable(address.host)) {
      throw refused(
        "address",
        "must be that of a service, not multicast, reserved or a cloud's metadata service",
        text,
      );
    }
  }
}

function copyMetadata(
  field: string,
  metadata: Readonly<Record<string, string>>,
  forbidden: RegExp,
  budget: { left: number },
): Readonly<Record<string, string>> {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    throw refused(field, "must be an object of text values");
  }
  const entries = Object.entries(metadata);
  if (entries.length > maxNodeMetadataEntries) {
    throw refused(field, `has ${entries.length} entries, over ${maxNodeMetadataEntries}`);
  }
  for (const [key, value] of entries) {
    if (!keyPattern.test(key) || key.length > 255 || key === "__proto__") {
      throw refused(field, "has a key that is not 1 to 255 visible ASCII characters", key);
    }
    const name = `${field}.${key}`;
    if (typeof value !== "string") throw refused(name, "must be text", value);
    spend(budget, key);
    spend(budget, value);
    if (forbidden.test(value)) throw refused(name, "has a control character", value);
  }
  return Object.freeze(Object.fromEntries(entries));
}

function copyEndpoints(
  endpoints: readonly Endpoint[],
  budget: { left: number },
): readonly Endpoint[] {
  if (!Array.isArray(endpoints)) throw refused("endpoints", "must be an array");
  if (endpoints.length > maxNodeEndpoints) {
    throw refused("endpoints", `has ${endpoints.length} entries, over ${maxNodeEndpoints}`);
  }
  const copies = endpoints.map((endpoint: Endpoint, index): Endpoint => {
    const field = `endpoints[${index}]`;
    if (typeof endpoint !== "object" || endpoint === null)
      throw refused(field, "must be an object");
    const { name } = endpoint;
    if (typeof name !== "string" || !keyPattern.test(name) || name.length > 512) {
      throw refused(`${field}.name`, "must be 1 to 512 visible ASCII characters", name);
    }
    spend(budget, name);
    const metadata = copyMetadata(`${field}.metadata`, endpoint.metadata, controlsButLines, budget);
    return Object.freeze({ name, metadata });
  });
  return Object.freeze(copies);
}

function spend(budget: { left: number }, text: string): void {
  // A UTF-16 unit is at least one byte, so a megabyte is rejected without being measured.
  budget.left -= text.length > budget.left ? text.length : Buffer.byteLength(text);
  if (budget.left < 0) throw refused("node", `is over ${maxNodeBytes} bytes in all`);
}

function refused(field: string, rule: string, value?: unknown, cause?: unknown): MicroError {
  const shown = value === undefined ? "" : `, not ${JSON.stringify(String(value).slice(0, 64))}`;
  return new MicroError("invalid_argument", `registry record refused: ${field} ${rule}${shown}`, {
    outcome: "not-executed",
    cause,
  });
}
