import { Resolver } from "node:dns";
import { isIP, isIPv6 } from "node:net";

/** A DNS server. */
export interface DnsServer {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

const defaultPort = 53;

/** Parses `ip`, `ip:port`, `[v6]` or `[v6]:port`; undefined for anything else. */
export function parseServer(text: string): DnsServer | undefined {
  if (isIP(text) !== 0) return { host: text, port: defaultPort };
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = v6 ?? v4 ?? "";
  const port = digits === undefined ? defaultPort : Number(digits);
  const isAddress = v6 === undefined ? isIP(host) === 4 : isIPv6(host);
  return isAddress && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** The servers of this machine, which it reads from resolv.conf each time. */
export function systemServers(): readonly DnsServer[] {
  return new Resolver().getServers().flatMap((text) => parseServer(text) ?? []);
}

export function serverName({ host, port }: DnsServer): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
