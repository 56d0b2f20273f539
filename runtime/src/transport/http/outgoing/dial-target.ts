import type { LookupFunction } from "node:net";
import { checkDialable, lookupDialable } from "../../../base/dialable-address.ts";
import type { HttpCallOptions } from "../call-options.ts";
import type { Compression } from "../compression/algorithms.ts";

/** Where to connect for a URL. */
export interface DialTarget {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  readonly lookup: LookupFunction;
}

/** @throws MicroError for an address that must not be dialed */
export function dialTarget(url: URL): DialTarget {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  checkDialable(host);
  const isSecure = url.protocol === "https:";
  const port = Number(url.port || (isSecure ? 443 : 80));
  return { host, port, isSecure, lookup: lookupDialable };
}

/** Loads what compresses requests, only where some are to be compressed. */
export async function compressionOf({
  compression,
}: Partial<HttpCallOptions>): Promise<Compression | undefined> {
  if (compression === undefined) return undefined;
  const { compressions } = await import("../compression/algorithms.ts");
  return compressions.find(({ name }) => name === compression);
}
