import { join } from "node:path";
import type { AnyCodec } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";

export const microEs: Contender = {
  name: "micro-es",
  async load({ proto, typeName }, folder) {
    const module = (await import(join(folder, `${proto}_micro.ts`))) as Record<string, AnyCodec>;
    const codec = module[`${typeName.slice(typeName.lastIndexOf(".") + 1)}Codec`]!;
    return {
      decode: (bytes) => codec.decode(bytes),
      encode: (message) => codec.encode(message),
      encodeInto: (message, target) => codec.encodeInto!(message, target, 0),
    };
  },
};
