import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type Endpoint, packIp, unpackIp } from "./member-update.ts";

/** The port of a seed that names none. */
export const defaultPort = 7_946;

/** Maximum number of addresses of one name. */
const maxAddresses = 64;

/** A seed as it was configured: the name is looked up again whenever it is needed. */
export interface Seed {
  /** A DNS name or an IP address. */
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `host`, `host:port`, `[v6]` or `[v6]:port`; undefined for anything else.
 * @param leastPort 0 if any free port may be meant.
 */
export function parseSeed(text: string, leastPort = 1): Seed | undefined {
  const [, v6, name, digits] =
    /^(?:\[([\da-f:.]+)\]|([\w.-]{1,253}))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port < leastPort || port > 65_535) return undefined;
  return v6 !== undefined && isIP(v6) !== 6 ? undefined : { host, port };
}

/** The addresses behind seeds. */
export interface ResolvedSeeds {
  readonly endpoints: readonly Endpoint[];
  /** The names that do not resolve. */
  readonly unresolved: readonly string[];
}

export async function resolveSeeds(seeds: readonly Seed[]): Promise<ResolvedSeeds> {
  const unresolved: string[] = [];
  const found = await Promise.all(
    seeds.map(async ({ host, port }) => {
      if (isIP(host) !== 0) return [{ host: canonicalIp(host), port }];
      const addresses = await lookup(host, { all: true }).catch(() => []);
      if (addresses.length === 0) unresolved.push(host);
      return addresses
        .slice(0, maxAddresses)
        .map(({ address }) => ({ host: canonicalIp(address), port }));
    }),
  );
  return { endpoints: found.flat(), unresolved };
}

/** The form in which addresses of members are compared. */
export function canonicalIp(host: string): string {
  return unpackIp(packIp(host));
}
