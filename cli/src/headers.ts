import { UsageError } from "./errors.ts";

/** Metadata from words such as `key: value`; values of keys that end in `-bin` are base64. */
export function readHeaders(
  words: readonly string[],
): readonly (readonly [key: string, value: string | Uint8Array])[] {
  return words.map((word) => {
    const [, key, value] = /^([^:=\s]+)\s*[:=]\s*(.*)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--header takes "key: value", not "${word}"`);
    }
    return [key, key.endsWith("-bin") ? Buffer.from(value, "base64") : value];
  });
}
