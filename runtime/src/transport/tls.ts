import type { PeerCertificate, SecureContextOptions, TLSSocket } from "node:tls";
import { MicroError } from "../base/error.ts";
import type { ServerVerification } from "../call/credential-source.ts";
import { onCertificateExpiry } from "./certificate-expiry.ts";
import type { Transport } from "./transport.ts";

/**
 * The certificate that one side presents, and the authorities whose certificates it trusts, in PEM.
 */
export type TlsIdentity = Pick<SecureContextOptions, "key" | "cert" | "ca" | "passphrase" | "crl">;

/** Whether a listener asks its clients for certificates, and accepts clients without one. */
export type ClientCertificateMode = "none" | "optional" | "required";

/** TLS options of a listener. TLS 1.2 is the minimum; connections without TLS are refused. */
export interface ServerTlsOptions {
  /**
   * The listener's certificate. When it is {@link ReloadableIdentity.replace | replaced}, further
   * connections use the new one, and clients are told to open some.
   */
  readonly identity: TlsIdentity | ReloadableIdentity;
  /**
   * Whether clients are asked for a certificate (mutual TLS), and whether connections without one
   * are accepted. Connections with a certificate end when it expires, and sessions are not resumed.
   *
   * With `ca` in {@link identity}, a certificate must have been issued by one of these authorities.
   * Without, the handshake proves only that the client has the key of the certificate, and
   * `certificateAuth` verifies the issuers. Default `none`.
   */
  readonly clientCertificate?: ClientCertificateMode;
  /**
   * `true` is `clientCertificate: "required"`, with the authorities of the system if `ca` is not
   * set. Default false.
   */
  readonly requireClientCertificate?: boolean;
}

/** TLS options of a client. */
export interface ClientTlsOptions {
  readonly identity?: TlsIdentity | ReloadableIdentity;
  /**
   * The name that the server's certificate must have, if it differs from the host of the address.
   */
  readonly serverName?: string;
  /**
   * The identity that the server's certificate must have instead of the dialed name: a DNS name or
   * a SPIFFE id (`spiffe://trust.example/orders`), or one of several, compared exactly with the
   * certificate's alternative names. Use it where addresses come from a registry, because registry
   * records may name any host that has a certificate from a trusted authority.
   */
  readonly serverIdentity?: string | readonly string[];
  /**
   * The identities of individual services, by the name that they are called by; overrides
   * `serverIdentity`. It applies to every connection that is opened for calls to the service, even
   * if a call names the address.
   */
  readonly serverIdentities?: Readonly<Record<string, string | readonly string[]>>;
  /**
   * As `serverIdentities`, by a function, for fleets whose identities follow a rule:
   * ``(service) => `spiffe://acme.example/${service}` ``. It returns undefined for a service
   * without an identity of its own. `serverIdentities` overrides it.
   */
  readonly identityOf?: (service: string) => string | readonly string[] | undefined;
  /**
   * Accepts any server certificate, on these connections only. An attacker on the network can then
   * read and change what is sent; the process emits a warning about it.
   */
  readonly insecure?: boolean;
}

/**
 * A certificate that can be replaced while connections are open. Those are replaced as well: a
 * client begins no further calls on them, a listener tells its clients to open others, and each is
 * closed when its calls have ended. Connections of go-micro's protocol stay with a listener's old
 * certificate.
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { ReloadableIdentity, tcpTransport } from "@micro-es/runtime";
 *
 * const read = () => ({
 *   key: readFileSync("tls.key", "utf8"),
 *   cert: readFileSync("tls.crt", "utf8"),
 * });
 * const identity = new ReloadableIdentity(read());
 * const transport = tcpTransport({ tls: { server: { identity } } });
 * ```
 */
export class ReloadableIdentity {
  #current: TlsIdentity;
  readonly #listeners = new Set<(identity: TlsIdentity) => void>();

  constructor(identity: TlsIdentity) {
    this.#current = identity;
  }

  get current(): TlsIdentity {
    return this.#current;
  }

  /**
   * Replaces the identity.
   * @throws Node's error if the key and the certificate do not match; the previous identity stays
   * in use.
   */
  replace(identity: TlsIdentity): void {
    // Validates where no listener would, as on a client.
    process.getBuiltinModule?.("node:tls").createSecureContext(identity);
    const before = this.#current;
    try {
      for (const listener of this.#listeners) listener(identity);
    } catch (reason) {
      for (const listener of this.#listeners) listener(before);
      throw reason;
    }
    this.#current = identity;
  }

  /** Calls the listener at each change, until the returned function is called. */
  watch(listener: (identity: TlsIdentity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** How a listener treats the certificates of its clients. */
export interface ClientCertificateRules {
  readonly mode: ClientCertificateMode;
  /** Whether the handshake verifies the issuers of a certificate; otherwise an `Auth` does. */
  readonly isVerified: boolean;
}

/** @throws MicroError `invalid_argument` for options that contradict each other. */
export function clientCertificateRules(options: ServerTlsOptions): ClientCertificateRules {
  const { clientCertificate, requireClientCertificate, identity } = options;
  if (clientCertificate === undefined) {
    return { mode: requireClientCertificate === true ? "required" : "none", isVerified: true };
  }
  if (requireClientCertificate !== undefined) {
    throw new MicroError(
      "invalid_argument",
      'tls.server has clientCertificate and requireClientCertificate, which is clientCertificate: "required"; remove the latter',
      { outcome: "not-executed" },
    );
  }
  return { mode: clientCertificate, isVerified: currentIdentity(identity).ca !== undefined };
}

/** Returns the current identity. */
export function currentIdentity(
  identity: TlsIdentity | ReloadableIdentity | undefined,
): TlsIdentity {
  if (identity instanceof ReloadableIdentity) return identity.current;
  return identity ?? {};
}

/**
 * Implements `Transport.pinsService` for a transport with these options. Undefined if no service
 * has an identity of its own.
 */
export function servicePins(
  options: ClientTlsOptions | undefined,
): Pick<Transport, "pinsService"> | undefined {
  if (options?.serverIdentities === undefined && options?.identityOf === undefined) {
    return undefined;
  }
  return { pinsService: (service) => identitiesOf(options, service) !== undefined };
}

/** Implements `Transport.verifies` for connections that use TLS with these options. */
export function tlsVerification(
  options: ClientTlsOptions,
  service: string,
): ServerVerification | undefined {
  const { insecure, serverIdentity, serverName } = options;
  if (insecure === true) return undefined;
  const expected = identitiesOf(options, service) ?? serverIdentity ?? serverName;
  return expected === undefined ? "host" : "service";
}

/**
 * Returns the identities of a service's own; undefined if it has none.
 * @throws MicroError `invalid_argument` if `identityOf` returns anything else.
 */
function identitiesOf(
  { serverIdentities, identityOf }: ClientTlsOptions,
  service: string,
): readonly string[] | undefined {
  if (serverIdentities !== undefined && Object.hasOwn(serverIdentities, service)) {
    return [serverIdentities[service] ?? []].flat();
  }
  const identities = identityOf?.(service);
  if (identities === undefined) return undefined;
  const list = [identities].flat();
  if (list.length > 0 && list.every((each) => typeof each === "string" && each !== "")) return list;
  throw new MicroError(
    "invalid_argument",
    `tls.client.identityOf(${JSON.stringify(service)}) returned neither a DNS name nor a SPIFFE id, nor undefined`,
    { outcome: "not-executed" },
  );
}

/**
 * Converts a client's options to those of Node's `connect`.
 *
 * @param service name of the service that is called there
 */
export function connectOptions(
  options: ClientTlsOptions,
  host: string,
  service: string | undefined,
): object {
  const own = service === undefined ? undefined : identitiesOf(options, service);
  const expected = own ?? options.serverIdentity;
  const name = options.serverName ?? host;
  return {
    ...currentIdentity(options.identity),
    minVersion: "TLSv1.2",
    // SNI supports host names only, not IP addresses.
    ...(!/^[\d.]+$|:/.test(name) && { servername: name }),
    rejectUnauthorized: options.insecure !== true,
    ...(expected !== undefined && {
      checkServerIdentity: checkIdentity(
        [expected].flat(),
        own === undefined ? "tls.client.serverIdentity" : identityOption(options, service),
      ),
    }),
  };
}

/** Name of the option that sets the identity of a service. */
function identityOption({ serverIdentities }: ClientTlsOptions, service = ""): string {
  const isListed = serverIdentities !== undefined && Object.hasOwn(serverIdentities, service);
  return isListed ? `tls.client.serverIdentities.${service}` : "tls.client.identityOf";
}

function checkIdentity(expected: readonly string[], option: string) {
  return (_host: string, { subjectaltname = "" }: PeerCertificate): Error | undefined => {
    // Node quotes names that contain commas and quotes; none of the expected names do.
    const names = subjectaltname.match(/(?:[^",]|"(?:[^"\\]|\\.)*")+/g) ?? [];
    const found = names.map((name) => name.trim());
    const isExpected = (name: string) =>
      name.includes("://")
        ? found.includes(`URI:${name}`)
        : found.some((it) => it.toLowerCase() === `dns:${name.toLowerCase()}`);
    if (expected.some(isExpected)) return undefined;
    return new Error(
      `the server's certificate is for ${subjectaltname.slice(0, 256) || "no name"}, not for ${expected.join(" or ")} (${option})`,
    );
  };
}

/** Emits a process warning that connections are not verified. */
export function warnIfInsecure(options: ClientTlsOptions | undefined, transport: string): void {
  if (options?.insecure !== true) return;
  process.emitWarning(
    `${transport} verifies no server's certificate (tls.insecure): anyone on the network path can read and change calls`,
    { code: "MICRO_TLS_INSECURE" },
  );
}

/**
 * Calls back with the reason when a client's connection is to be replaced, because the certificate
 * that it has presented was.
 *
 * @param closed of the connection
 */
export function onReplacedIdentity(
  { identity }: ClientTlsOptions,
  closed: Promise<unknown>,
  retire: (reason: MicroError) => void,
): void {
  if (!(identity instanceof ReloadableIdentity)) return;
  const stopWatching = identity.watch(() =>
    retire(
      new MicroError("unavailable", "the client's certificate was replaced", {
        outcome: "not-executed",
      }),
    ),
  );
  void closed.then(stopWatching);
}

/**
 * Calls back with the reason when a client's connection must end because a certificate of the
 * server expires.
 */
export function onServerExpiry(
  socket: TLSSocket,
  { insecure = false }: ClientTlsOptions,
  end: (reason: MicroError) => void,
): void {
  const watch = () => onCertificateExpiry(socket, (at) => end(expired("server", at)));
  if (insecure) return;
  // Missing from Node's types.
  const { secureConnecting } = socket as { readonly secureConnecting?: boolean };
  if (secureConnecting === true) socket.once("secureConnect", watch);
  else watch();
}

/**
 * Returns the error of a connection that ends because a certificate of the peer, or of its issuers,
 * has expired.
 */
export function expired(side: "client" | "server", at: Date): MicroError {
  return new MicroError(
    "unauthenticated",
    `the ${side}'s certificate, or one of its issuers, expired at ${at.toISOString()}`,
  );
}

/** Returns the error of a failed handshake. */
export function handshakeFailed(cause: Error | undefined): MicroError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new MicroError("unauthenticated", `the TLS handshake failed: ${what}`, {
    outcome: "not-executed",
    cause,
  });
}
