import { isIP } from "node:net";
import { AddressRanges, type Subnet } from "../base/address-ranges.ts";
import { MicroError } from "../base/error.ts";
import { isLocalAddress } from "../base/local-address.ts";
import type { ServerVerification } from "../call/credential-source.ts";

/**
 * Where a client may send credentials in addition to servers whose service was verified, and to
 * this machine: loopback addresses, unix sockets and `memory:`.
 */
export interface CredentialPolicyOptions {
  /**
   * Host names to which calls that name the address may send credentials over TLS that verifies the
   * host, such as `api.acme.example`. Default: none. It says nothing about addresses that come from
   * a registry.
   */
  readonly allowHosts?: readonly string[];
  /**
   * Where credentials may be sent although the connection is not encrypted, or its server was not
   * verified: addresses (`10.0.0.7:8080`), hosts (`stock.internal`), ranges of IP addresses
   * (`10.0.0.0/8`), and `nats:*` for all services behind a backend. Everything on the network path
   * to them can use the credentials that it sees. Default: none.
   */
  readonly allowPlaintext?: readonly string[];
}

/** A server to which a credential would be sent. */
export interface CredentialDestination {
  readonly address: string;
  readonly verifiedBy: ServerVerification | undefined;
  /** Whether the call itself names the address, which thus comes from no registry. */
  readonly isNamed: boolean;
}

const ranged = /^([0-9a-f.:]+)\/(\d{1,3})$/i;

/** Decides to which servers a client may send credentials. */
export class CredentialPolicy {
  readonly #hosts: ReadonlySet<string>;
  readonly #plaintext: ReadonlySet<string>;
  readonly #ranges: AddressRanges;

  /** @throws MicroError `invalid_argument` for a range that is not valid. */
  constructor({ allowHosts = [], allowPlaintext = [] }: CredentialPolicyOptions = {}) {
    this.#hosts = new Set(allowHosts.map((host) => host.toLowerCase()));
    this.#plaintext = new Set(allowPlaintext.map((place) => place.toLowerCase()));
    this.#ranges = new AddressRanges(
      ...allowPlaintext.filter((place) => /^[^/]*\/[^/]*$/.test(place)).map(readRange),
    );
  }

  /**
   * Returns why a credential must not be sent to a server, and what to change; undefined if it may.
   */
  refusal({ address, verifiedBy, isNamed }: CredentialDestination): string | undefined {
    if (verifiedBy === "service" || isLocal(address) || this.#allowsPlaintext(address)) {
      return undefined;
    }
    if (verifiedBy === undefined) {
      return (
        "the connection is not encrypted, or its server was not verified; " +
        `set tls.client.identityOf or serverIdentities on the transport, or list ${JSON.stringify(address)} in credentialPolicy.allowPlaintext`
      );
    }
    const host = hostOf(address).toLowerCase();
    if (!isNamed) {
      return (
        "the certificate was verified for the host in the address, which came from the registry, and not for the service; " +
        "set tls.client.identityOf or serverIdentities on the transport"
      );
    }
    if (this.#hosts.has(host)) return undefined;
    return (
      "the certificate was verified for the host in the address, and not for the service; " +
      `set tls.client.identityOf or serverIdentities on the transport, or list ${JSON.stringify(host)} in credentialPolicy.allowHosts`
    );
  }

  #allowsPlaintext(address: string): boolean {
    const places = this.#plaintext;
    if (places.size === 0) return false;
    const host = hostOf(address).toLowerCase();
    const [scheme = ""] = address.split(":", 1);
    return (
      places.has(address.toLowerCase()) ||
      places.has(host) ||
      this.#ranges.has(host) ||
      (!address.includes("://") && places.has(`${scheme}:*`))
    );
  }
}

/** Whether what is sent to an address does not leave this machine. */
function isLocal(address: string): boolean {
  // `:8080` dials this machine.
  if (address.startsWith(":")) return true;
  try {
    return isLocalAddress(address.includes("://") ? `${bracketed(hostOf(address))}:1` : address);
  } catch {
    return false;
  }
}

/** The host of an address or a URL, an IPv6 address without brackets. */
function hostOf(address: string): string {
  const [, authority = address] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(address) ?? [];
  return authority.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function readRange(text: string): Subnet {
  const [, net = "", digits = ""] = ranged.exec(text) ?? [];
  const prefix = Number(digits);
  const version = isIP(net);
  if (version !== 0 && prefix <= (version === 4 ? 32 : 128)) return [net, prefix];
  throw new MicroError(
    "invalid_argument",
    `credentialPolicy.allowPlaintext has ${JSON.stringify(text)}, which is not a range of IP addresses; write 10.0.0.0/8`,
    { outcome: "not-executed" },
  );
}
