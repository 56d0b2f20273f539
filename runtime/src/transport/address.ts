import { isIP, isIPv4, isIPv6 } from "node:net";
import { MicroError } from "../error.ts";

/** Where a listener is. `host` is empty for every interface of the machine, and for this machine itself. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** The longest text that is looked at as an address. */
export const maxAddressLength = 320;

/** What every system takes as the path of a unix socket, in bytes (macOS has the least room). */
const maxPathBytes = 103;

/**
 * Reads `host:port`, `[v6]:port`, `:port` or `unix:/path`. Strict, because addresses come from registries as
 * well: a host is a DNS name or an IP address in its usual form, so nothing can hide in `0x7f.1` or `2130706433`.
 *
 * @throws MicroError `invalid_argument` that says what is wrong with it.
 */
export function parseAddress(text: string): Address {
  if (text.length > maxAddressLength) throw invalid(text, `it has ${text.length} characters`);
  if (text.startsWith("unix:")) return { kind: "unix", path: checkPath(text, text.slice(5)) };
  const colon = text.lastIndexOf(":");
  if (colon < 0) throw invalid(text, "it has no port");
  const port = checkPort(text, text.slice(colon + 1));
  const written = text.slice(0, colon);
  if (written.startsWith("[")) {
    const host = written.slice(1, -1);
    if (
      !written.endsWith("]") ||
      !isIPv6(host) ||
      !/^[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?$/.test(host)
    ) {
      throw invalid(text, "what stands in brackets is no IPv6 address");
    }
    return { kind: "tcp", host, port };
  }
  if (written !== "") checkHost(text, written);
  return { kind: "tcp", host: written, port };
}

/** The text that {@link parseAddress} reads. */
export function formatAddress(address: Address): string {
  return address.kind === "unix" ? `unix:${address.path}` : hostAndPort(address.host, address.port);
}

/** A host and a port as one text, with brackets around IPv6, and IPv4 in its own form. */
export function hostAndPort(host: string, port: number): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return `${mapped}:${port}`;
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

function checkHost(text: string, host: string): void {
  if (isIPv4(host)) return;
  if (host.includes(":")) throw invalid(text, "an IPv6 address needs brackets, as in [::1]:8080");
  const labels = host.split(".");
  const named =
    host.length <= 253 &&
    labels.every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
  if (!named) throw invalid(text, "its host is neither a DNS name nor an IP address");
  // Resolvers read a name whose last label is a number as an IPv4 address in octal, hex or short form.
  if (/^(\d+|0[xX][0-9A-Fa-f]*)$/.test(labels.at(-1)!)) {
    throw invalid(text, "its host looks like an IPv4 address and is none");
  }
}

function checkPort(text: string, port: string): number {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65_535) {
    throw invalid(text, "its port is not a number from 0 to 65535");
  }
  return Number(port);
}

function checkPath(text: string, path: string): string {
  if (!path.startsWith("/")) throw invalid(text, "the path of a unix socket must be absolute");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\x00-\x1f\x7f]/.test(path)) throw invalid(text, "its path has a control character");
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw invalid(text, `the path of a unix socket has at most ${maxPathBytes} bytes`);
  }
  return path;
}

function invalid(text: string, reason: string): MicroError {
  const shown = JSON.stringify(text.slice(0, 96));
  return new MicroError(
    "invalid_argument",
    `${shown} is no address: ${reason}; write host:port, [v6]:port, :port or unix:/path`,
    { outcome: "not-executed" },
  );
}
