import { contentOf, derTag, readElement, readElements, readObjectId } from "./der-reader.ts";

/** What the extensions of a certificate state, as far as it decides about an identity. */
export interface CertificateExtensions {
  readonly isAuthority: boolean;
  /** The object identifier of the algorithm by which the certificate was signed. */
  readonly signatureAlgorithm: string;
  /** Undefined if the certificate does not limit how its key is used. */
  readonly keyUsage: KeyUsage | undefined;
  /** Object identifiers; undefined if the certificate does not limit its purposes. */
  readonly purposes: readonly string[] | undefined;
  /** The URIs among the alternative names, byte for byte as latin1. */
  readonly uris: readonly string[];
}

/** How the key of a certificate may be used. */
export interface KeyUsage {
  readonly signs: boolean;
  readonly signsCertificates: boolean;
  readonly signsRevocationLists: boolean;
}

const oid = {
  keyUsage: "2.5.29.15",
  alternativeNames: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  purposes: "2.5.29.37",
} as const;

/**
 * Extensions that may be critical. With any other one, such as constraints on names, a certificate
 * means something that is not verified here.
 */
const understood: ReadonlySet<string> = new Set(Object.values(oid));

/**
 * Reads the extensions of a certificate from its DER form. Node's text form of the alternative
 * names is not used: names in it can look like several.
 *
 * @throws Error that says what is wrong with the certificate.
 */
export function readExtensions(certificate: Uint8Array): CertificateExtensions {
  const [signed, algorithm] = readElements(readElement(certificate, derTag.sequence));
  const [algorithmId] = readElements(contentOf(algorithm, derTag.sequence));
  const fields = readElements(contentOf(signed, derTag.sequence));
  const extensions = fields.find(({ tag }) => tag === derTag.extensions);
  const values = extensions === undefined ? new Map() : readValues(extensions.content);
  const constraints = values.get(oid.basicConstraints);
  const usage = values.get(oid.keyUsage);
  const purposes = values.get(oid.purposes);
  const names = values.get(oid.alternativeNames);
  return {
    signatureAlgorithm: readObjectId(contentOf(algorithmId, derTag.objectId)),
    isAuthority: constraints !== undefined && readIsAuthority(constraints),
    keyUsage: usage && readKeyUsage(usage),
    purposes: purposes && readPurposes(purposes),
    uris: names === undefined ? [] : readUris(names),
  };
}

/** The values of the extensions, by their object identifier. */
function readValues(content: Uint8Array): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  for (const extension of readElements(readElement(content, derTag.sequence))) {
    const [id, ...rest] = readElements(contentOf(extension, derTag.sequence));
    const name = readObjectId(contentOf(id, derTag.objectId));
    const isCritical = rest.length === 2;
    if (isCritical) contentOf(rest[0], derTag.boolean);
    if (values.has(name)) throw new Error(`the certificate has the extension ${name} twice`);
    if (isCritical && !understood.has(name)) {
      throw new Error(`the certificate has the critical extension ${name}, which is not supported`);
    }
    values.set(name, contentOf(rest.at(-1), derTag.octetString));
  }
  return values;
}

function readIsAuthority(value: Uint8Array): boolean {
  const [first] = readElements(readElement(value, derTag.sequence));
  return first?.tag === derTag.boolean && first.content.some((octet) => octet !== 0);
}

function readKeyUsage(value: Uint8Array): KeyUsage {
  // The first octet counts the unused bits of the last.
  const bits = readElement(value, derTag.bitString)[1] ?? 0;
  return {
    signs: (bits & 0x80) !== 0,
    signsCertificates: (bits & 0x04) !== 0,
    signsRevocationLists: (bits & 0x02) !== 0,
  };
}

function readPurposes(value: Uint8Array): readonly string[] {
  return readElements(readElement(value, derTag.sequence)).map((purpose) =>
    readObjectId(contentOf(purpose, derTag.objectId)),
  );
}

function readUris(value: Uint8Array): readonly string[] {
  return readElements(readElement(value, derTag.sequence))
    .filter(({ tag }) => tag === derTag.uri)
    .map(({ content }) => Buffer.from(content).toString("latin1"));
}
