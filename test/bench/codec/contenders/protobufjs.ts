import { join } from "node:path";
import type { Contender } from "../contender.ts";

interface Type {
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): { finish(): Uint8Array };
}

/** protobuf.js with code that its command line tool generates ahead of time. */
export const protobufJs: Contender = {
  name: "protobuf.js static",
  async load({ proto, typeName }, folder) {
    const root = (await import(join(folder, `${proto}.pbjs.js`))) as Record<string, unknown>;
    let found: unknown = root;
    for (const part of typeName.split(".")) found = (found as Record<string, unknown>)[part];
    const type = found as Type;
    return {
      decode: (bytes) => type.decode(bytes),
      encode: (message) => type.encode(message).finish(),
    };
  },
};
