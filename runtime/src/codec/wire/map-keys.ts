import { getString } from "./get.ts";
import type { Reader } from "./reader.ts";

/**
 * Keys of maps that were read before. They come again and again, and a string that has been the name of a
 * property once is one much faster the second time. Keys go where their hash says, over what was there, so
 * the memory is bounded; one is used again only when it is equal byte for byte.
 */
const known: string[] = /*@__PURE__*/ new Array<string>(256).fill("");

const longest = 24;

/** A string key of a map, which must be valid UTF-8. */
export function readKey(reader: Reader): string {
  const { bytes, pos } = reader;
  const length = bytes[pos]!;
  const start = pos + 1;
  const end = start + length;
  if (!(length <= longest && end <= bytes.length)) return getString(reader);
  let hash = length;
  let bits = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    hash = (Math.imul(hash, 31) + byte) | 0;
    bits |= byte;
  }
  // Of other texts, the bytes are not the characters.
  if (bits > 0x7f) return getString(reader);
  const slot = (hash ^ (hash >>> 8)) & 0xff;
  const candidate = known[slot]!;
  if (candidate.length === length) {
    let i = 0;
    while (i < length && candidate.charCodeAt(i) === bytes[start + i]) i++;
    if (i === length) {
      reader.pos = end;
      return candidate;
    }
  }
  const key = getString(reader);
  known[slot] = key;
  return key;
}

/** No entry, and room for some with small integers as keys: the engine takes that over when it copies the object. */
const roomy: { [key: string]: never } = /*@__PURE__*/ emptied({ 1: 0 as never });

function emptied(map: { [key: string]: never }): { [key: string]: never } {
  delete map["1"];
  return map;
}

/** To look at a map takes as long as it is large, and must not take all the time of messages that are made for that. */
const mostFullMaps = 16;

/**
 * A map with the entries of another one, to which integers as keys are going to be added. An object that has no room for
 * them yet takes the engine four times as long to make some as it takes it to copy an object that has.
 */
export function roomyMap<V>(reader: Reader, map: { [key: string]: V }): { [key: string]: V } {
  const full = reader.fullMaps ?? 0;
  if (full >= mostFullMaps) return map;
  for (const _ in map) {
    reader.fullMaps = full + 1;
    return map;
  }
  return { ...roomy };
}

/** Sets an entry of a map. A key may be `__proto__`, which a plain assignment takes as something else. */
export function setEntry<V>(map: { [key: string]: V }, key: string, value: V): void {
  if (key !== "__proto__") map[key] = value;
  else {
    const attributes = { writable: true, enumerable: true, configurable: true };
    Object.defineProperty(map, key, { value, ...attributes });
  }
}
