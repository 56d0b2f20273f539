/** What a character may be part of. */
const inName = 1;
const inValue = 2;

const characters: Uint8Array = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  if (byte === 9 || (byte >= 0x20 && byte !== 0x7f)) characters[byte] = inValue;
}
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  characters[character.charCodeAt(0)]! |= inName;
}

const colon = 0x3a;
const space = 0x20;
const tab = 9;

/**
 * Whether a string is the name of a field (RFC 9113 section 8.2.1): a token in lower case, which
 * may begin with a colon.
 */
export function isFieldName(text: string): boolean {
  const { length } = text;
  let at = length > 0 && text.charCodeAt(0) === colon ? 1 : 0;
  if (at === length) return false;
  for (; at < length; at++) {
    if ((characters[text.charCodeAt(at)]! & inName) === 0) return false;
  }
  return true;
}

/**
 * Whether a string is the value of a field: without controls or characters of more than a byte,
 * and with no space at either end.
 */
export function isFieldValue(text: string): boolean {
  return hasValueCharacters(text) && !isPadded(text);
}

/** Whether a string has only characters that the value of a field may have. */
export function hasValueCharacters(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    // Undefined for characters beyond a byte.
    if ((characters[text.charCodeAt(at)]! & inValue) === 0) return false;
  }
  return true;
}

/** Whether there is a space at either end. */
export function isPadded(text: string): boolean {
  const { length } = text;
  return length > 0 && (isBlank(text.charCodeAt(0)) || isBlank(text.charCodeAt(length - 1)));
}

/** Removes the spaces at both ends. */
export function unpadded(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === space || code === tab;
}
