import { type Address, formatAddress, parseAddress } from "../address.ts";
import { MicroError } from "../error.ts";

/** Where a socket connects to or listens. An empty host is every interface, and this machine for who dials. */
export type SocketAddress =
  | { readonly kind: "host"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** What every system takes as the path of a unix socket, in bytes (macOS has the least room). */
const maxPathBytes = 103;

/**
 * Reads an address that a socket can have: `host:port`, `[v6]:port`, `:port` or `unix:/path`.
 * @throws MicroError `invalid_argument` that says what is wrong with it.
 */
export function readSocketAddress(text: string): SocketAddress {
  // The short form names no host, so it is no address that could be given to anybody else.
  if (text.startsWith(":"))
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
  if (address.kind === "nats") {
    throw invalid(`${text} is an address of the NATS transport: use host:port or unix:/path`);
  }
  return address;
}

/** A host and a port as an address, with IPv4 in its own form where it came as IPv6. */
export function hostAndPort(host: string, port: number): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  return formatAddress({ kind: "host", host: mapped ?? host, port });
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
