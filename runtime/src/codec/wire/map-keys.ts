import { getString } from "./read-scalars.ts";
import type { Reader } from "./reader.ts";

/**
 * Map keys that were read before. Keys recur, and a string that has already been a property name is
 * much faster the second time. A key is stored at its hash and overwrites the one there, so memory
 * is bounded; it is reused only if it is equal byte for byte.
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
  // In other text, bytes are not characters.
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

/**
 * An object without entries, but with room for some with small integer keys: the engine preserves
 * that room when it copies the object.
 */
const roomy: { [key: string]: never } = /*@__PURE__*/ emptied({ 1: 0 as never });

function emptied(map: { [key: string]: never }): { [key: string]: never } {
  delete map["1"];
  return map;
}

/**
 * Inspecting a map takes time in proportion to its size; this bounds that time for messages crafted
 * to exploit it.
 */
const mostFullMaps = 16;

/**
 * A copy of a map, ready for integer keys to be added. Adding room to an object that has none takes
 * the engine four times as long as copying an object that has it.
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

/**
 * Sets an entry of a map. A key may be `__proto__`, which a plain assignment would interpret
 * differently.
 */
export function setEntry<V>(map: { [key: string]: V }, key: string, value: V): void {
  if (key !== "__proto__") map[key] = value;
  else {
    const attributes = { writable: true, enumerable: true, configurable: true };
    Object.defineProperty(map, key, { value, ...attributes });
  }
}
