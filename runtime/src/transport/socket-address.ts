import { type Address, formatAddress, parseAddress } from "../base/address.ts";
import { MicroError } from "../base/error.ts";

/**
 * Where a socket connects or listens. An empty host means every interface when listening, and this
 * machine when dialing.
 */
export type SocketAddress =
  | { readonly kind: "host"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/**
 * The longest unix socket path that every system accepts, in bytes (macOS has the lowest limit).
 */
const maxPathBytes = 103;

/**
 * Parses a socket address: `host:port`, `[v6]:port`, `:port` or `unix:/path`.
 * @throws MicroError `invalid_argument` that says what is wrong with the address.
 */
export function readSocketAddress(text: string): SocketAddress {
  // The short form names no host, so it cannot be parsed as an address to hand out.
  if (/^:\d/.test(text))
    return { ...readSocketAddress(`localhost${text}`), host: "" } as SocketAddress;
  const address: Address = parseAddress(text);
  if (address.kind === "memory") {
    throw invalid(`${text} is an address of the memory transport: use host:port or unix:/path`);
  }
  if (address.kind === "unix" && Buffer.byteLength(address.path) > maxPathBytes) {
    throw invalid(
      `the path of ${text} is too long: a unix socket's has at most ${maxPathBytes} bytes`,
    );
  }
  if (address.kind === "backend") {
    throw invalid(`${text} is not the address of a socket: use host:port or unix:/path`);
  }
  return address;
}

/** Formats a host and a port as an address. An IPv4 address mapped to IPv6 is written as IPv4. */
export function hostAndPort(host: string, port: number): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  return formatAddress({ kind: "host", host: mapped ?? host, port });
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
