import type { SecureContextOptions } from "node:tls";
import { MicroError } from "../error.ts";

/** The certificate that one side shows, and the authorities whose certificates it trusts. PEM. */
export type TlsIdentity = Pick<SecureContextOptions, "key" | "cert" | "ca" | "passphrase" | "crl">;

/** TLS as a listener speaks it, TLS 1.2 at least. Connections without it are refused. */
export interface ServerTlsOptions {
  /** Replaces the certificate of all further connections when it is {@link ReloadableIdentity.replace | replaced}. */
  readonly identity: TlsIdentity | ReloadableIdentity;
  /** Whether a client must show a certificate that `ca` has signed (mutual TLS). Default false. */
  readonly requireClientCertificate?: boolean;
}

/** TLS as a client speaks it. */
export interface ClientTlsOptions {
  readonly identity?: TlsIdentity | ReloadableIdentity;
  /** The name that the server's certificate must have, when it is not the host of the address. */
  readonly serverName?: string;
  /**
   * Takes whatever certificate a server shows, of these connections only. Anybody on the way can then read and
   * change what is sent: a warning of the process says so.
   */
  readonly insecure?: boolean;
}

/** A certificate that can be replaced while connections are open; those keep the old one. */
export class ReloadableIdentity {
  #current: TlsIdentity;
  readonly #listeners = new Set<(identity: TlsIdentity) => void>();

  constructor(identity: TlsIdentity) {
    this.#current = identity;
  }

  get current(): TlsIdentity {
    return this.#current;
  }

  replace(identity: TlsIdentity): void {
    this.#current = identity;
    for (const listener of this.#listeners) listener(identity);
  }

  /** Calls the listener at each change, until the returned function is called. */
  watch(listener: (identity: TlsIdentity) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The identity as it is now. */
export function currentIdentity(
  identity: TlsIdentity | ReloadableIdentity | undefined,
): TlsIdentity {
  if (identity instanceof ReloadableIdentity) return identity.current;
  return identity ?? {};
}

/** What Node's `connect` takes of a client's options. */
export function connectOptions(options: ClientTlsOptions, host: string): object {
  const name = options.serverName ?? host;
  return {
    ...currentIdentity(options.identity),
    minVersion: "TLSv1.2",
    // Names of hosts only: TLS has no place for a number.
    ...(!/^[\d.]+$|:/.test(name) && { servername: name }),
    rejectUnauthorized: options.insecure !== true,
  };
}

/** Says aloud that connections are not verified. */
export function warnIfInsecure(options: ClientTlsOptions | undefined, transport: string): void {
  if (options?.insecure !== true) return;
  process.emitWarning(
    `${transport} verifies no server's certificate (tls.insecure): anybody on the way can read and change calls`,
    { code: "MICRO_TLS_INSECURE" },
  );
}

/** The error of a handshake that failed. */
export function handshakeFailed(cause: Error | undefined): MicroError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new MicroError("unauthenticated", `the TLS handshake failed: ${what}`, {
    outcome: "not-executed",
    cause,
  });
}
