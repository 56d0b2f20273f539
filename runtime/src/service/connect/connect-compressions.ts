import type { Compression } from "@connectrpc/connect/protocol";
import { compressions } from "../../transport/http/compression/algorithms.ts";

/** Nothing is inflated by Connect: messages are inflated within limits where they arrive. */
export const connectCompressions: readonly Compression[] = compressions.map((compression) => ({
  name: compression.name,
  compress: (bytes) => compression.compress(bytes) as Promise<Uint8Array<ArrayBuffer>>,
  decompress: () => Promise.reject(new Error(`${compression.name} was to be inflated before`)),
}));
