import { X509Certificate } from "node:crypto";
import { type CertificateExtensions, readExtensions } from "./certificate-extensions.ts";
import { parseSpiffeId, type SpiffeId } from "./spiffe-id.ts";

/** A certificate with what was read from it. */
export interface ReadCertificate {
  readonly x509: X509Certificate;
  readonly extensions: CertificateExtensions;
  /** In milliseconds since 1970. */
  readonly validFrom: number;
  readonly validTo: number;
}

/** A chain that was verified. */
export interface VerifiedChain {
  readonly id: SpiffeId;
  /** When the first of its certificates expires, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** The most issuers between a certificate and the bundle. */
const maxIssuers = 5;
/** RSA and ECDSA with SHA-2, RSA-PSS, Ed25519 and Ed448. */
const strongSignature =
  /^1\.2\.840\.113549\.1\.1\.1[0-3]$|^1\.2\.840\.10045\.4\.3\.[2-4]$|^1\.3\.101\.11[23]$/;
const clientPurpose = "1.3.6.1.5.5.7.3.2";

/** @throws Error for bytes that are not a certificate. */
export function readCertificate(certificate: Uint8Array | string): ReadCertificate {
  const x509 = new X509Certificate(certificate);
  return {
    x509,
    extensions: readExtensions(x509.raw),
    validFrom: Date.parse(x509.validFrom),
    validTo: Date.parse(x509.validTo),
  };
}

/**
 * Returns the identity that the certificate of a client states: exactly one URI, which is a SPIFFE
 * id. The certificate must not be one of an authority, and must be made for clients.
 *
 * @throws Error that says what is wrong.
 */
export function identityOf({ extensions }: ReadCertificate): SpiffeId {
  const { uris, isAuthority, keyUsage, purposes } = extensions;
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) {
    throw new Error(`the certificate has ${uris.length} URIs, and one is needed`);
  }
  const id = parseSpiffeId(uri);
  if (id === undefined) throw new Error("the URI of the certificate is not a SPIFFE id");
  if (isAuthority) throw new Error("the certificate is one of an authority");
  if (keyUsage?.signsCertificates === true || keyUsage?.signsRevocationLists === true) {
    throw new Error("the key of the certificate may sign certificates");
  }
  if (keyUsage?.signs === false) throw new Error("the key of the certificate may not sign");
  if (purposes?.includes(clientPurpose) === false) {
    throw new Error("the certificate is not made for clients");
  }
  return id;
}

/**
 * Verifies that an authority of a bundle has issued the first certificate, directly or through the
 * others. Returns when the first certificate of the chain expires.
 *
 * @throws Error that says what is wrong.
 */
export function verifyChain(
  chain: readonly ReadCertificate[],
  bundle: readonly ReadCertificate[],
  now: number,
): number {
  const [leaf, ...others] = chain;
  if (leaf === undefined) throw new Error("there is no certificate");
  checkStrength(leaf);
  checkTime(leaf, now);
  const expiresAtMs = issuedUntil(leaf, others, bundle, now, maxIssuers);
  if (expiresAtMs === undefined) {
    throw new Error("no authority of the trust domain's bundle has issued the certificate");
  }
  return Math.min(leaf.validTo, expiresAtMs);
}

/** When the first issuer of a certificate expires; undefined if none is known. */
function issuedUntil(
  issued: ReadCertificate,
  others: readonly ReadCertificate[],
  bundle: readonly ReadCertificate[],
  now: number,
  left: number,
): number | undefined {
  for (const root of bundle) if (hasIssued(root, issued, now)) return root.validTo;
  if (left === 0) return undefined;
  for (const issuer of others) {
    if (issuer === issued || !hasIssued(issuer, issued, now)) continue;
    const rest = others.filter((it) => it !== issuer);
    const until = issuedUntil(issuer, rest, bundle, now, left - 1);
    if (until !== undefined) return Math.min(issuer.validTo, until);
  }
  return undefined;
}

function hasIssued(issuer: ReadCertificate, issued: ReadCertificate, now: number): boolean {
  const { isAuthority, keyUsage, purposes } = issuer.extensions;
  if (!isAuthority || keyUsage?.signsCertificates === false) return false;
  if (purposes?.includes(clientPurpose) === false) return false;
  if (now < issuer.validFrom || now >= issuer.validTo) return false;
  if (!strongSignature.test(issued.extensions.signatureAlgorithm)) return false;
  if (!issued.x509.checkIssued(issuer.x509)) return false;
  return isStrong(issuer) && issued.x509.verify(issuer.x509.publicKey);
}

function checkTime({ validFrom, validTo }: ReadCertificate, now: number): void {
  if (now < validFrom) throw new Error("the certificate is not valid yet");
  if (!(now < validTo)) throw new Error("the certificate has expired");
}

function checkStrength(certificate: ReadCertificate): void {
  if (!isStrong(certificate)) throw new Error("the key of the certificate is too weak");
}

function isStrong({ x509 }: ReadCertificate): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = x509.publicKey;
  if (type === "rsa" || type === "rsa-pss") return (details?.modulusLength ?? 0) >= 2_048;
  return type === "ec" || type === "ed25519" || type === "ed448";
}
