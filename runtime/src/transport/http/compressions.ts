import type { Compression } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";

/** What messages may be compressed by, the preferred one first. */
export const compressions: readonly Compression[] = [compressionGzip, compressionBrotli];
