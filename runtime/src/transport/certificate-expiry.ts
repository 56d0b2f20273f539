import type { DetailedPeerCertificate, TLSSocket } from "node:tls";

const longestTimerMs = 2 ** 31 - 1;

/**
 * Calls the listener once, when the first certificate of the peer's verified chain expires, unless
 * the connection closes before. This is needed because a handshake verifies certificates only at
 * the time it runs. Does nothing if the peer showed no certificate, or one that was not verified.
 */
export function onCertificateExpiry(socket: TLSSocket, listener: (expiredAt: Date) => void): void {
  const expiresAt = verifiedUntil(socket);
  if (expiresAt !== undefined) callAt(expiresAt, socket, listener);
}

/**
 * When a certificate of the peer, or of its issuers, expires first, in milliseconds since 1970;
 * undefined if the peer has none or it was not verified.
 */
export function verifiedUntil(socket: TLSSocket): number | undefined {
  return socket.authorized ? earliestExpiry(socket.getPeerCertificate(true)) : undefined;
}

/**
 * As {@link onCertificateExpiry}, for the peer's own certificate alone, which need not be verified.
 * Calls the listener at once if the certificate has already expired.
 */
export function onLeafExpiry(socket: TLSSocket, listener: (expiredAt: Date) => void): void {
  const expiresAt = Date.parse(socket.getPeerCertificate().valid_to);
  callAt(Number.isNaN(expiresAt) ? 0 : expiresAt, socket, listener);
}

/** Calls the listener at a time, in milliseconds since 1970, unless the socket closes first. */
export function callAt(
  expiresAt: number,
  socket: TLSSocket,
  listener: (expiredAt: Date) => void,
): void {
  let timer: NodeJS.Timeout | undefined;
  const check = () => {
    const leftMs = expiresAt - Date.now();
    if (leftMs > 0) timer = setTimeout(check, Math.min(leftMs, longestTimerMs)).unref();
    else listener(new Date(expiresAt));
  };
  socket.once("close", () => clearTimeout(timer));
  check();
}

/**
 * Returns the time at which the first certificate of a chain expires. Certificates that have
 * already expired are ignored: they belong to a cross-signed chain, not to the one that was
 * verified.
 */
function earliestExpiry(certificate: Partial<DetailedPeerCertificate>): number | undefined {
  const now = Date.now();
  const seen = new Set<string | undefined>();
  let earliest: number | undefined;
  let next: Partial<DetailedPeerCertificate> | undefined = certificate;
  while (next?.valid_to !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    const expiresAt = Date.parse(next.valid_to);
    if (expiresAt > now && !(earliest !== undefined && earliest <= expiresAt)) earliest = expiresAt;
    next = next.issuerCertificate;
  }
  return earliest;
}
