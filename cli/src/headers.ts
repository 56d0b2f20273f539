import { Metadata } from "@micro-es/runtime";
import { UsageError } from "./command.ts";

/** Metadata from words such as `key: value`; what is under a key that ends in `-bin` is base64. */
export function readHeaders(words: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (const word of words) {
    const [, key, value] = /^([^:=\s]+)\s*[:=]\s*(.*)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--header takes "key: value", and not "${word}"`);
    }
    metadata.append(key, key.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return metadata;
}
