import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { MicroError, messageOf } from "../../base/error.ts";

/** Metadata key of the signature of an event. */
export const signatureKey = "micro-signature";

/** The account by which a service signs what it publishes. */
export interface EventSigner {
  /** The authority of the account, such as `acme`. */
  readonly issuer: string;
  /** Id of the account, such as `service:order`. */
  readonly account: string;
  /** Names the key to verifiers. */
  readonly keyId: string;
  /** The Ed25519 private key, in PEM or as a key of `node:crypto`. */
  readonly key: string | KeyObject;
}

/** The parts of an event that a signature covers, in addition to its account and its time. */
export interface SignedEvent {
  readonly id: string;
  readonly topic: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly typeName: string;
  readonly key?: string | undefined;
}

/** The account that a signature states, and when it was made. */
export interface EventClaims {
  readonly issuer: string;
  readonly account: string;
  /** In milliseconds since 1970. */
  readonly signedAtMs: number;
}

/** A signature that was read, and not verified yet. */
export interface ReadSignature extends EventClaims {
  readonly keyId: string;
  readonly audience: string;
  readonly eventId: string;
  readonly digest: string;
  /** The text that was signed. */
  readonly signed: string;
  readonly signature: Buffer;
}

const type = "event+jwt";
const maxSignatureLength = 4_096;
const maxHeaderLength = 1_024;

/** The private key of a signer. @throws MicroError `invalid_argument` if it is not Ed25519. */
export function signingKey({ key }: EventSigner): KeyObject {
  return ed25519(() => (typeof key === "string" ? createPrivateKey(key) : key), "private");
}

/** A public key. @throws MicroError `invalid_argument` if it is not Ed25519. */
export function verifyingKey(key: string | KeyObject): KeyObject {
  return ed25519(() => (typeof key === "string" ? createPublicKey(key) : key), "public");
}

/** Signs an event: a JWS in compact form, without an end, so that it can be replayed for days. */
export function signEvent(signer: EventSigner, key: KeyObject, event: SignedEvent): string {
  const header = { alg: "EdDSA", typ: type, kid: signer.keyId };
  const payload = {
    iss: signer.issuer,
    sub: signer.account,
    aud: event.topic,
    eid: event.id,
    iat: Math.floor(Date.now() / 1_000),
    dig: digestOf(event),
  };
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}

/** @throws Error that says what is wrong with the form of a signature. */
export function readSignature(text: string): ReadSignature {
  if (text.length > maxSignatureLength) throw new Error("the signature is too long");
  const [head = "", body = "", tail = "", ...rest] = text.split(".");
  if (rest.length > 0 || tail === "") throw new Error("the signature does not have three parts");
  if (head.length > maxHeaderLength) throw new Error("the header of the signature is too long");
  const header = decode(head);
  const payload = decode(body);
  const { alg, typ, kid } = header;
  if (alg !== "EdDSA" || typ !== type || "crit" in header || typeof kid !== "string") {
    throw new Error(`the header of the signature is not that of EdDSA and ${type} with a kid`);
  }
  const { iss, sub, aud, eid, iat, dig } = payload;
  const texts = [iss, sub, aud, eid, dig];
  if (!texts.every((it) => typeof it === "string") || typeof iat !== "number") {
    throw new Error("the signature lacks a claim");
  }
  const [issuer, account, audience, eventId, digest] = texts as [
    string,
    string,
    string,
    string,
    string,
  ];
  return {
    ...{ issuer, account, audience, eventId, digest, keyId: kid, signedAtMs: iat * 1_000 },
    signed: `${head}.${body}`,
    signature: canonical(tail),
  };
}

/** Whether a signature is one of this key, and of this event. */
export function isSignatureOf(read: ReadSignature, key: KeyObject, event: SignedEvent): boolean {
  return (
    read.audience === event.topic &&
    read.eventId === event.id &&
    read.digest === digestOf(event) &&
    verify(null, Buffer.from(read.signed), key, read.signature)
  );
}

/** Each part has its length in front, so that no two events have the same parts in other places. */
function digestOf({ contentType, typeName, key = "", body }: SignedEvent): string {
  const hash = createHash("sha256");
  for (const part of [contentType, typeName, key]) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.update(body).digest("base64url");
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(canonical(text).toString("utf8"));
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw new Error("a part of the signature is not an object");
}

/** A text has one form, so that a signature cannot be written in several ways. */
function canonical(text: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") === text) return bytes;
  throw new Error("a part of the signature is not base64url");
}

function ed25519(read: () => KeyObject, kind: "private" | "public"): KeyObject {
  let found: KeyObject | undefined;
  let reason = "";
  try {
    found = read();
  } catch (error) {
    reason = `: ${messageOf(error)}`;
  }
  if (found?.asymmetricKeyType === "ed25519" && found.type === kind) return found;
  throw new MicroError(
    "invalid_argument",
    `events need an Ed25519 ${kind} key in PEM, or of node:crypto${reason}`,
    { outcome: "not-executed" },
  );
}
