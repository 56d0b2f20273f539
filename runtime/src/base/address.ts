import { isIPv4, isIPv6 } from "node:net";

import { MicroError } from "./error.ts";

/** A parsed address. */
export type Address =
  | {
      readonly kind: "host";
      /** A name, an IPv4 address, or an IPv6 address without its brackets. */
      readonly host: string;
      /** 0 to 65,535; 0 means any free port and is valid only for listening. */
      readonly port: number;
    }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "memory"; readonly name: string }
  /** A name on a backend, which only the transport of that backend's driver can dial. */
  | { readonly kind: "backend"; readonly scheme: string; readonly name: string };

const bracketed = /^\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]{1,32})?)\]:([0-9]{1,5})$/;
const named = /^([0-9A-Za-z._-]{1,253}):([0-9]{1,5})$/;
const label = /^[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?$/;
const memoryName = /^[!-~]{1,255}$/;
const onBackend = /^([a-z][a-z0-9+-]{0,31}):(?!\d+$)((?=.{1,200}$)[\w$-]+(?:\.[\w$-]+)*)$/;
const controls = /\p{Cc}/u;

/**
 * Parses `host:port`, `[v6]:port`, `unix:/path`, `memory:name`, or `backend:name`: the scheme of a
 * driver and a name on its backend, of letters, digits, `_`, `$`, `-` and dots, and not a number.
 *
 * Parsing is strict because addresses also come from outside. It rejects URLs, credentials, paths,
 * queries and control characters, and hosts that look like a number without being a dotted
 * IPv4 address (`2130706433`, `0x7f.1`), which some resolvers accept as one.
 *
 * @throws MicroError `invalid_argument` for anything else.
 */
export function parseAddress(text: string): Address {
  const address = typeof text === "string" ? parse(text) : undefined;
  if (address === undefined) {
    throw new MicroError(
      "invalid_argument",
      `${JSON.stringify(String(text).slice(0, 128))} is not a valid address: use host:port, [v6]:port, unix:/path, memory:name or backend:name`,
      { outcome: "not-executed" },
    );
  }
  return address;
}

/** The text form of an address; {@link parseAddress} reads it back. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case "unix":
      return `unix:${address.path}`;
    case "memory":
      return `memory:${address.name}`;
    case "backend":
      return `${address.scheme}:${address.name}`;
    case "host":
      return address.host.includes(":")
        ? `[${address.host}]:${address.port}`
        : `${address.host}:${address.port}`;
  }
}

function parse(text: string): Address | undefined {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (!path.startsWith("/") || path.length < 2 || path.length > 1024) return undefined;
    return controls.test(path) ? undefined : { kind: "unix", path };
  }
  if (text.startsWith("memory:")) {
    const name = text.slice("memory:".length);
    return memoryName.test(name) ? { kind: "memory", name } : undefined;
  }
  const backend = onBackend.exec(text);
  if (backend !== null) {
    const [, scheme = "", name = ""] = backend;
    return { kind: "backend", scheme, name };
  }
  const match = bracketed.exec(text) ?? named.exec(text);
  if (match === null) return undefined;
  const [, host = "", digits = ""] = match;
  const port = Number(digits);
  if (port > 65_535) return undefined;
  const valid = text.startsWith("[") ? isIPv6(host) : isIPv4(host) || isHostName(host);
  return valid ? { kind: "host", host, port } : undefined;
}

/** Under WHATWG's rules a name whose last label is a number would be parsed as an IPv4 address. */
function isHostName(host: string): boolean {
  const labels = (host.endsWith(".") ? host.slice(0, -1) : host).split(".");
  const last = labels.at(-1) ?? "";
  return labels.every((each) => label.test(each)) && !/^(?:[0-9]+|0[xX][0-9A-Fa-f]*)$/.test(last);
}
