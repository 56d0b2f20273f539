import type { MicroError } from "../base/error.ts";
import type { Credential } from "./account.ts";
import type { Awaitable } from "./call.ts";

/**
 * How the server at the other end of a connection was verified, before anything was sent: by an
 * identity of the called service, or by the host name in its address. A record of a registry can
 * name any host, so the second says nothing about the service.
 */
export type ServerVerification = "service" | "host";

/** The destination of a credential. */
export interface CredentialTarget {
  /** Name of the called service. */
  readonly service: string;
  readonly address: string;
  /** Undefined if the connection is not encrypted, or the server was not verified. */
  readonly verifiedBy: ServerVerification | undefined;
}

/** A credential, and the services that it is for. */
export interface IssuedCredential extends Credential {
  /**
   * Names of the services that may receive the credential; undefined if every service may whose
   * server is verified.
   */
  readonly services: ReadonlySet<string> | undefined;
}

/**
 * Supplies the credentials that a client presents. `staticToken`, `fileToken`, `clientSecret`,
 * `tokenSource` and `forwardCaller` create sources.
 *
 * A source is asked for each attempt of each call, so it returns at once what it has. The client
 * decides whether the credential may be sent to the server: see `credentialPolicy`.
 */
export interface CredentialSource {
  /**
   * Returns the credential to present to a service; undefined if the call needs none.
   * @throws MicroError `unavailable` if there is no credential at the moment, or another error that
   * becomes that of the call.
   */
  credential(target: CredentialTarget): Awaitable<IssuedCredential | undefined>;
  /**
   * Called when a server has refused the credential as `unauthenticated`. Returns whether
   * {@link credential} will supply another one; the call is then repeated once. Absent if there
   * never is another one.
   */
  rejected?(credential: IssuedCredential, error: MicroError): Awaitable<boolean>;
}
