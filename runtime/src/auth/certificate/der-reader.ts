/** One element of a DER encoding. */
export interface DerElement {
  /** The identifier octet: class, form and number. */
  readonly tag: number;
  readonly content: Uint8Array;
}

/** Tags of the elements that certificates have. */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  sequence: 0x30,
  /** `[3] EXPLICIT`: the extensions of a certificate. */
  extensions: 0xa3,
  /** `[6] IMPLICIT`: a URI among the alternative names. */
  uri: 0x86,
} as const;

/** The most elements in one that is read. */
const maxElements = 256;

/**
 * Reads the elements in an encoding. Only DER is read: one way to write each length, and no
 * indefinite length, so that another reader cannot see other elements.
 *
 * @throws Error that says what is wrong.
 */
export function readElements(bytes: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (elements.length === maxElements) throw new Error("the certificate has too many elements");
    const tag = bytes[at]!;
    if ((tag & 0x1f) === 0x1f) throw new Error("the certificate has a tag of several octets");
    const { length, from } = readLength(bytes, at + 1);
    if (length > bytes.length - from) throw new Error("the certificate is cut off");
    elements.push({ tag, content: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return elements;
}

/** @throws Error unless the bytes are one element with the tag, and nothing else. */
export function readElement(bytes: Uint8Array, tag: number): Uint8Array {
  const elements = readElements(bytes);
  return contentOf(elements.length === 1 ? elements[0] : undefined, tag);
}

/** @throws Error unless the element has the tag. */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  if (element?.tag === tag) return element.content;
  throw new Error(`the certificate has no element 0x${tag.toString(16)} where one must be`);
}

/** The dotted form of an object identifier. */
export function readObjectId(content: Uint8Array): string {
  const numbers: number[] = [];
  let number = 0;
  for (const octet of content) {
    number = number * 128 + (octet & 0x7f);
    if (number > 0xffff_ffff) throw new Error("the certificate has an identifier that is too long");
    if ((octet & 0x80) !== 0) continue;
    if (numbers.length > 0) numbers.push(number);
    else {
      const first = Math.min(2, Math.floor(number / 40));
      numbers.push(first, number - 40 * first);
    }
    number = 0;
  }
  return numbers.join(".");
}

function readLength(bytes: Uint8Array, at: number): { length: number; from: number } {
  const first = bytes[at];
  if (first === undefined) throw new Error("the certificate is cut off");
  if (first < 0x80) return { length: first, from: at + 1 };
  const octets = first & 0x7f;
  if (octets === 0 || octets > 3 || at + octets >= bytes.length) {
    throw new Error("the certificate has a length that is not DER");
  }
  let length = 0;
  for (let index = 1; index <= octets; index++) length = length * 256 + bytes[at + index]!;
  if (length < 0x80 || length < 256 ** (octets - 1)) {
    throw new Error("the certificate has a length that is not DER");
  }
  return { length, from: at + 1 + octets };
}
