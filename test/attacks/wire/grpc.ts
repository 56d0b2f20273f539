import { gzipSync } from "node:zlib";

/** A message of gRPC with its prefix, compressed by gzip. */
export function gzipMessage(message: Buffer): Buffer {
  const data = gzipSync(message, { level: 9 });
  const prefix = Buffer.of(1, 0, 0, 0, 0);
  prefix.writeUInt32BE(data.length, 1);
  return Buffer.concat([prefix, data]);
}

/** Empty fields of a number, in a thousandth of their bytes. */
export function inflatingMessage(field: number, bytes: number = 4 * 1024 * 1024 - 1_024): Buffer {
  return gzipMessage(Buffer.alloc(bytes, Buffer.of(field * 8 + 2, 0)));
}
