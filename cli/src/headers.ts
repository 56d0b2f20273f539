import { UsageError } from "./command.ts";

/** Metadata as pairs, from words such as `key: value`; what is under a key that ends in `-bin` is base64. */
export function readHeaders(
  words: readonly string[],
): readonly (readonly [key: string, value: string | Uint8Array])[] {
  return words.map((word) => {
    const [, key, value] = /^([^:=\s]+)\s*[:=]\s*(.*)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--header takes "key: value", and not "${word}"`);
    }
    return [key, key.endsWith("-bin") ? Buffer.from(value, "base64") : value];
  });
}
