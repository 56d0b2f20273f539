import { isIPv6 } from "node:net";
import { asMicroError, type MicroError } from "@micro-es/runtime";
import type { DnsResponse } from "../link/ask-server.ts";
import { isDomainName, type Question } from "../link/question.ts";
import type { AddressRecord, DnsRecord, ServiceRecord } from "../link/read-response.ts";

/** A place where a service is offered. */
export interface Place {
  /** `target:port`, and the address in addition where a target has several. */
  readonly id: string;
  /** `ip:port`. */
  readonly address: string;
  /** `priority` and `weight` of an SRV record. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The result of a lookup. */
export interface Found {
  /** In the order of their priority; those of a name that does not exist are none. */
  readonly places: readonly Place[];
  /** How long the result holds, in seconds. */
  readonly ttl: number;
  /** Why the addresses of some targets are missing, or those of the last lookup. */
  readonly incomplete?: MicroError | undefined;
}

/** Asks one question. */
export type Ask = (question: Question) => Promise<DnsResponse>;

/** The addresses of targets by their name, from the last lookup. */
export type KnownTargets = Map<string, readonly string[]>;

/** For how long a negative response holds whose server does not say so, in seconds. */
const negativeTtl = 5;
/** Aliases of aliases that are followed. */
const maxAliases = 8;
/** How many addresses are asked for at a time. */
const maxConcurrent = 8;

/**
 * Looks up the SRV records of a name, and the addresses of their targets, as far as the response
 * does not have them already.
 * @throws MicroError `unavailable` if it cannot be found out.
 */
export async function lookUpServices(ask: Ask, name: string, known: KnownTargets): Promise<Found> {
  const response = await ask({ name, type: "SRV" });
  const { records, ttl } = named<ServiceRecord>(response, response.answers, name, ["SRV"]);
  const offered = records.filter(({ target, port }) => isDomainName(target) && port > 0);
  if (offered.length === 0) {
    known.clear();
    return { places: [], ttl: records.length > 0 ? ttl : ttlOfNothing(response) };
  }
  const targets = [...new Set(offered.map(({ target }) => target))];
  const addresses: KnownTargets = new Map();
  let smallest = ttl;
  let incomplete: MicroError | undefined;
  const missing: string[] = [];
  for (const target of targets) {
    const given = addressesOf(response, [...response.additionals, ...response.answers], target);
    if (given === undefined) missing.push(target);
    else {
      addresses.set(target, given.addresses);
      smallest = Math.min(smallest, given.ttl);
    }
  }
  await concurrently(missing, async (target) => {
    try {
      const found = await askAddresses(ask, target);
      addresses.set(target, found.addresses);
      smallest = Math.min(smallest, found.ttl);
    } catch (error) {
      incomplete = asMicroError(error, "unavailable");
      addresses.set(target, known.get(target) ?? []);
    }
  });
  known.clear();
  for (const [target, each] of addresses) known.set(target, each);
  const places = inOrder(offered).flatMap((record) =>
    placesOf(record, addresses.get(record.target) ?? []),
  );
  if (places.length === 0 && incomplete !== undefined) throw incomplete;
  return { places, ttl: smallest, incomplete };
}

/**
 * Looks up the addresses of a name, at each of which the service has the same port.
 * @throws MicroError `unavailable` if it cannot be found out.
 */
export async function lookUpAddresses(ask: Ask, name: string, port: number): Promise<Found> {
  const { addresses, ttl } = await askAddresses(ask, name);
  const places = addresses.map((host) => {
    const address = withPort(host, port);
    return { id: address, address, metadata: {} };
  });
  return { places, ttl };
}

/** The IPv4 addresses of a name, or else the IPv6 ones: usually both are the same machines. */
async function askAddresses(
  ask: Ask,
  name: string,
): Promise<{ readonly addresses: readonly string[]; readonly ttl: number }> {
  let ttl = Number.POSITIVE_INFINITY;
  for (const type of ["A", "AAAA"] as const) {
    const response = await ask({ name, type });
    const found = addressesOf(response, response.answers, name);
    if (found !== undefined) return found;
    ttl = Math.min(ttl, ttlOfNothing(response));
    if (!response.exists) break;
  }
  return { addresses: [], ttl };
}

function addressesOf(response: DnsResponse, records: readonly DnsRecord[], name: string) {
  for (const type of ["A", "AAAA"]) {
    const found = named<AddressRecord>(response, records, name, [type]);
    if (found.records.length === 0) continue;
    const addresses = [...new Set(found.records.map(({ address }) => address))].sort();
    return { addresses, ttl: found.ttl };
  }
  return undefined;
}

/** The records of a name or of what it is an alias of, and the smallest ttl on the way to them. */
function named<R extends DnsRecord>(
  { answers, additionals }: DnsResponse,
  records: readonly DnsRecord[],
  name: string,
  types: readonly string[],
): { readonly records: readonly R[]; readonly ttl: number } {
  let owner = name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= maxAliases; aliases++) {
    const found = records.filter((each) => each.name === owner && types.includes(each.type)) as R[];
    if (found.length > 0) {
      for (const each of found) ttl = Math.min(ttl, each.ttl);
      return { records: found, ttl };
    }
    const alias = [...answers, ...additionals].find(
      (each) => each.type === "CNAME" && each.name === owner,
    );
    if (alias?.type !== "CNAME") break;
    ttl = Math.min(ttl, alias.ttl);
    owner = alias.target;
  }
  return { records: [], ttl };
}

function ttlOfNothing({ authorities }: DnsResponse): number {
  const zone = authorities.find(({ type }) => type === "SOA");
  return zone?.type === "SOA" ? zone.negativeTtl : negativeTtl;
}

/** Lowest priority first, as callers are to prefer them (RFC 2782), then the heaviest. */
function inOrder(records: readonly ServiceRecord[]): readonly ServiceRecord[] {
  return [...records].sort(
    (a, b) =>
      a.priority - b.priority ||
      b.weight - a.weight ||
      a.target.localeCompare(b.target) ||
      a.port - b.port,
  );
}

function placesOf(
  { target, port, priority, weight }: ServiceRecord,
  addresses: readonly string[],
): readonly Place[] {
  const metadata = { priority: `${priority}`, weight: `${weight}` };
  return addresses.map((host) => ({
    id: addresses.length === 1 ? `${target}:${port}` : `${target}:${port}/${host}`,
    address: withPort(host, port),
    metadata,
  }));
}

function withPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

async function concurrently<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = all.values();
  const worker = async () => {
    for (const one of left) await work(one);
  };
  await Promise.all(Array.from({ length: maxConcurrent }, worker));
}
