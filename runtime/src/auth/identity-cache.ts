import { createHash } from "node:crypto";
import { type Deadline, deadlineAfter, hasPassed } from "../base/deadline.ts";
import { asMicroError, type MicroError } from "../base/error.ts";
import type { Account, Credential } from "../call/account.ts";
import type { Awaitable, Peer } from "../call/call.ts";
import { connectionOf } from "../call/connection-peer.ts";
import {
  countInvalid,
  countValid,
  hasPresentedInvalid,
  presentsTooManyInvalid,
} from "./invalid-credentials.ts";
import { refusedFor } from "./refusals.ts";
import { VerifiedIdentity } from "./verified-identity.ts";
import { within } from "./within.ts";

/** Verifies a credential. */
export type Inspect = (credential: Credential, peer: Peer) => Awaitable<Account | undefined>;

/** The most identities that are remembered. */
const maxIdentities = 10_000;
/** How long a verified credential is remembered, in milliseconds. */
const keepMs = 60_000;
/** The most invalid credentials that are remembered, and for how long, in milliseconds. */
const maxInvalid = 1_000;
const keepInvalidMs = 5_000;
/** The most credentials that are verified, or wait for it, at the same time. */
const maxAtWork = 2_048;
/** Of these, the places for connections that have presented no invalid credential. */
const reserved = maxAtWork / 4;
/**
 * A connection gets at most this share of the places that are free for it. Tokens by unknown keys
 * may wait for seconds until the issuer responds, and those of a proxy's other callers must not.
 */
const shareOfOne = 1 / 4;
/** How long the verification of a credential may take, in milliseconds. */
export const inspectMs = 5_000;

/** What a credential has proved on a connection. */
interface Proof {
  readonly peer: Peer;
  readonly identity: VerifiedIdentity;
}

interface Invalid {
  readonly error: MicroError;
  readonly until: Deadline;
}

/**
 * Verifies each credential once and remembers the result for a minute, by a hash of the credential,
 * so that no heap dump contains tokens. Everything that presents the same credential shares one
 * {@link VerifiedIdentity}.
 */
export class IdentityCache {
  readonly #inspect: Inspect;
  /** The least recently used first. */
  readonly #identities = new Map<string, VerifiedIdentity>();
  /**
   * The same by the credential itself, which the calls of a connection share, so that their caller
   * is known without a key. A use in this form does not count as recent.
   */
  #proofs = new WeakMap<Credential, Proof>();
  readonly #atWork = new Map<string, Promise<VerifiedIdentity | undefined>>();
  /** How many are at work of each connection. */
  readonly #atWorkOf = new Map<object, number>();
  readonly #invalid = new Map<string, Invalid>();
  /** All identities in use anywhere, also those that are no longer remembered. */
  readonly #all = new Set<WeakRef<VerifiedIdentity>>();
  readonly #collected = new FinalizationRegistry<WeakRef<VerifiedIdentity>>((ref) =>
    this.#all.delete(ref),
  );

  constructor(inspect: Inspect) {
    this.#inspect = inspect;
  }

  /**
   * Returns the identity that a credential proves; undefined if nothing verifies such credentials.
   * @throws MicroError as `Auth.inspect`; `resource_exhausted` if too many are being verified, or
   * too many of the connection were invalid.
   */
  get(
    credential: Credential,
    peer: Peer,
  ): VerifiedIdentity | Promise<VerifiedIdentity | undefined> {
    const proof = this.#proofs.get(credential);
    if (proof !== undefined && proof.peer === peer && isKnown(proof.identity)) {
      if (proof.identity.ended === undefined) countValid(peer);
      return proof.identity;
    }
    const key = keyOf(credential, peer);
    const known = this.#identities.get(key);
    if (known !== undefined) {
      this.#identities.delete(key);
      if (isKnown(known)) {
        this.#identities.set(key, known);
        this.#proofs.set(credential, { peer, identity: known });
        if (known.ended === undefined) countValid(peer);
        return known;
      }
    }
    const invalid = this.#invalid.get(key);
    if (invalid !== undefined) {
      if (!hasPassed(invalid.until)) throw invalid.error;
      this.#invalid.delete(key);
    }
    const pending = this.#atWork.get(key);
    if (pending !== undefined) return pending;
    this.#checkRoom(peer);
    const work = this.#verify(key, credential, peer, known);
    this.#atWork.set(key, work);
    return work;
  }

  /** Registers the identity of an account that was not proved by a credential. */
  adopt(account: Account): VerifiedIdentity {
    const identity = new VerifiedIdentity(account, Number.POSITIVE_INFINITY);
    const ref = new WeakRef(identity);
    this.#all.add(ref);
    this.#collected.register(identity, ref);
    return identity;
  }

  *all(): Iterable<VerifiedIdentity> {
    for (const ref of this.#all) {
      const identity = ref.deref();
      if (identity !== undefined) yield identity;
    }
  }

  clear(): void {
    this.#identities.clear();
    this.#proofs = new WeakMap();
    this.#invalid.clear();
  }

  #checkRoom(peer: Peer): void {
    if (presentsTooManyInvalid(peer)) {
      throw exhausted(`too many credentials of ${peer.address} were invalid`);
    }
    const own = this.#atWorkOf.get(connectionOf(peer)) ?? 0;
    const places = maxAtWork - (hasPresentedInvalid(peer) ? reserved : 0);
    const free = places - this.#atWork.size;
    if (free <= 0 || own >= Math.max(1, free * shareOfOne)) {
      throw exhausted(`${this.#atWork.size} credentials are being verified`);
    }
  }

  #count(peer: Peer, change: 1 | -1): void {
    const connection = connectionOf(peer);
    const own = (this.#atWorkOf.get(connection) ?? 0) + change;
    if (own > 0) this.#atWorkOf.set(connection, own);
    else this.#atWorkOf.delete(connection);
  }

  async #verify(
    key: string,
    credential: Credential,
    peer: Peer,
    known: VerifiedIdentity | undefined,
  ): Promise<VerifiedIdentity | undefined> {
    this.#count(peer, 1);
    try {
      const account = await within(inspectMs, this.#inspect(credential, peer));
      if (account === undefined) return undefined;
      const identity = known ?? this.adopt(account);
      identity.inspectAt = deadlineAfter(keepMs);
      this.#remember(key, identity);
      countValid(peer);
      return identity;
    } catch (reason) {
      const error = asMicroError(reason, "internal");
      // A token by a key that is not published yet costs no signature.
      if (error.code === "unauthenticated" && !mayBecomeValid.has(error)) countInvalid(peer);
      if (known !== undefined && error.code === "unauthenticated") known.ended = error;
      this.#rememberInvalid(key, error);
      throw error;
    } finally {
      this.#atWork.delete(key);
      this.#count(peer, -1);
    }
  }

  #remember(key: string, identity: VerifiedIdentity): void {
    this.#identities.set(key, identity);
    if (this.#identities.size > maxIdentities) {
      const [oldest] = this.#identities.keys();
      this.#identities.delete(oldest!);
    }
  }

  /** Only what stays invalid: with other errors, the next attempt may succeed. */
  #rememberInvalid(key: string, error: MicroError): void {
    if (error.code !== "unauthenticated" || mayBecomeValid.has(error)) return;
    if (this.#invalid.size >= maxInvalid) {
      const [oldest] = this.#invalid.keys();
      this.#invalid.delete(oldest!);
    }
    this.#invalid.set(key, { error, until: deadlineAfter(keepInvalidMs) });
  }
}

/** Whether an identity need not be verified now: it has ended, or was verified lately. */
function isKnown({ ended, inspectAt }: VerifiedIdentity): boolean {
  return ended !== undefined || !hasPassed(inspectAt);
}

function exhausted(reason: string): MicroError {
  return refusedFor("resource_exhausted", reason);
}

const mayBecomeValid = new WeakSet<MicroError>();

/**
 * Marks the error for a credential that may become valid without a change of its own, because the
 * key that has signed it may be published any moment.
 */
export function perhapsValidLater(error: MicroError): MicroError {
  mayBecomeValid.add(error);
  return error;
}

/** The hashes of credentials that were read once for many calls. */
const hashes = new WeakMap<Credential, string>();

/** The certificate counts, because a token may be bound to one. */
function keyOf(credential: Credential, { certificate }: Peer): string {
  let hash = hashes.get(credential);
  if (hash === undefined) {
    const { scheme, token } = credential;
    hash = createHash("sha256").update(`${scheme} ${token}`).digest("base64url");
    hashes.set(credential, hash);
  }
  return certificate === undefined ? hash : `${hash}.${certificate.fingerprint}`;
}
