import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";

/** A compression algorithm. */
export interface Compression {
  /** Its name in header lines. */
  readonly name: string;
  compress(bytes: Uint8Array): Promise<Uint8Array>;
}

/** The supported compression algorithms, the preferred one first. */
export const compressions: readonly Compression[] = [
  { name: "gzip", compress: promisify(gzip) },
  { name: "br", compress: promisify(brotliCompress) },
];

/** Their names, as header lines list them. */
export const compressionNames: string = compressions.map(({ name }) => name).join(",");

/**
 * Returns the first of the encodings that a caller accepts and this side knows.
 *
 * @param accepted names in lower case, separated by commas
 */
export function compressionFor(accepted: string | undefined): Compression | undefined {
  if (accepted === undefined || accepted === "identity") return undefined;
  for (const name of accepted.split(",")) {
    const compression = compressions.find((it) => it.name === name.trim());
    if (compression !== undefined) return compression;
  }
  return undefined;
}
