import { createHash, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { PeerCertificate } from "../../call/call.ts";

/** The most certificates of a chain that are kept. */
const maxChain = 10;

const certificates = new WeakMap<Socket, PeerCertificate>();

/**
 * Reads the certificate that the client of a connection has presented, for
 * {@link clientCertificate}. Returns undefined if it has presented none.
 */
export function readClientCertificate(socket: TLSSocket): PeerCertificate | undefined {
  // Empty, and not undefined as documented, for a client without one.
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return undefined;
  const chain: Uint8Array[] = [];
  let next: X509Certificate | undefined = leaf;
  while (next !== undefined && chain.length < maxChain) {
    const { raw } = next;
    if (chain.some((known) => raw.equals(known))) break;
    chain.push(new Uint8Array(raw));
    next = next.issuerCertificate;
  }
  const fingerprint = createHash("sha256").update(leaf.raw).digest("base64url");
  const certificate: PeerCertificate = { fingerprint, chain };
  certificates.set(socket, certificate);
  return certificate;
}

/** Returns the certificate of a connection's client; undefined without one. */
export function clientCertificate(socket: Socket): PeerCertificate | undefined {
  return certificates.get(socket);
}
