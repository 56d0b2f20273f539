import { join } from "node:path";
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { Contender } from "../contender.ts";

export const protobufEs: Contender = {
  name: "protobuf-es",
  async load({ proto, typeName }, folder) {
    const module = (await import(join(folder, `${proto}_pb.ts`))) as Record<string, DescMessage>;
    const schema = module[`${typeName.slice(typeName.lastIndexOf(".") + 1)}Schema`]!;
    return {
      decode: (bytes) => fromBinary(schema, bytes),
      encode: (message) => toBinary(schema, message as Message),
    };
  },
};
