import { asMicroError, MicroError } from "../../base/error.ts";
import { Bucket } from "../../base/rate-limit.ts";
import type { Credential, Identity } from "../../call/account.ts";
import type { Awaitable, Peer } from "../../call/call.ts";
import { credentialFrom } from "../admission.ts";
import type { CallAccess } from "../transport.ts";
import { bearerScheme, rememberedCredentials } from "./protocol.ts";

/** The result for a credential: its identity, the promise of it, or why it is not valid. */
type Verification = Awaitable<Identity | undefined> | MicroError;

/** The credentials that a client has sent on a connection, by the number that it has given each. */
export class ReceivedCredentials {
  readonly #access: CallAccess;
  readonly #peer: Peer;
  readonly #verifications: Verification[] = [];
  /** The credentials themselves, for handlers that forward their callers. */
  readonly #credentials: (Credential | undefined)[] = [];
  readonly #failures = new Bucket({ what: "credentials", burst: 100, perSecond: 10 });

  constructor(access: CallAccess, peer: Peer) {
    this.#access = access;
    this.#peer = peer;
  }

  /**
   * Receives the payload of CREDENTIAL and begins to verify the credential.
   * @throws MicroError for a violation of the protocol, or after too many invalid credentials.
   */
  receive(number: number, bytes: Uint8Array, start: number, end: number): void {
    if (number === 0 || number > rememberedCredentials) {
      throw new MicroError("invalid_argument", `received a CREDENTIAL with number ${number}`);
    }
    if (bytes[start] !== bearerScheme || end - start < 2) {
      throw new MicroError("invalid_argument", "received a CREDENTIAL with an unknown scheme");
    }
    if (this.#failures.isOverdrawn) {
      throw new MicroError("unauthenticated", "received too many credentials that are not valid");
    }
    const token = Buffer.from(bytes.buffer, bytes.byteOffset + start + 1, end - start - 1);
    this.#verifications[number] = this.#verify(number, token.toString("latin1"));
  }

  /**
   * Returns the identity of the credential with a number.
   * @throws MicroError `unauthenticated` if the credential is not valid; `invalid_argument` for a
   * number that was not given, which violates the protocol.
   */
  identity(number: number): Awaitable<Identity | undefined> {
    const verification = this.#verifications[number];
    if (verification instanceof MicroError) throw verification;
    return verification;
  }

  /** Returns the credential with a number. */
  credential(number: number): Credential | undefined {
    return this.#credentials[number];
  }

  /** Whether a credential has the number. */
  has(number: number): boolean {
    return this.#verifications[number] !== undefined;
  }

  #verify(number: number, token: string): Verification {
    try {
      this.#credentials[number] = undefined;
      const credential = credentialFrom([`Bearer ${token}`]);
      this.#credentials[number] = credential;
      const identity = this.#access.identify(credential, this.#peer);
      if (identity instanceof Promise) this.#settle(number, identity);
      return identity;
    } catch (reason) {
      return this.#failed(reason);
    }
  }

  /** Replaces a promise by its result, so that later calls do not wait for it. */
  #settle(number: number, identity: Promise<Identity | undefined>): void {
    const replace = (result: Verification) => {
      if (this.#verifications[number] === identity) this.#verifications[number] = result;
    };
    identity.then(replace, (reason) => replace(this.#failed(reason)));
  }

  #failed(reason: unknown): MicroError {
    const error = asMicroError(reason, "internal");
    if (error.code === "unauthenticated") this.#failures.take();
    return error;
  }
}
