import { join } from "node:path";
import type { Contender } from "../contender.ts";

interface Type {
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): { finish(): Uint8Array };
}

/** ts-proto with bigint for 64-bit integers, as in protobuf-es. */
export const tsProto: Contender = {
  name: "ts-proto",
  async load({ proto, typeName }, folder) {
    const module = (await import(join(folder, `ts-proto/${proto}.ts`))) as Record<string, Type>;
    const type = module[typeName.slice(typeName.lastIndexOf(".") + 1)]!;
    return {
      decode: (bytes) => type.decode(bytes),
      encode: (message) => type.encode(message).finish(),
    };
  },
};
